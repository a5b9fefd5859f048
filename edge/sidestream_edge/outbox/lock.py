"""One agent per outbox: a second one would send the same frames and delete what the first still needs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from sidestream_contracts.errors import ConfigurationError


def lock_holder(outbox: Path) -> str | None:
    """The process that holds `outbox` now, as far as it is named; None where nobody does."""
    try:
        fd = os.open(outbox.with_name(outbox.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(fd, 20).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(fd)
    return None


class OutboxLock:
    """Held from `with` to its end, or until the process dies; ConfigurationError if another agent holds it."""

    def __init__(self, outbox: Path) -> None:
        self._path = outbox.with_name(outbox.name + ".lock")
        self._fd = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(fd, 20).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise ConfigurationError(
                f"The outbox lock {self._path} is held by another edge agent (process {holder}). Stop that one, or name"
                " another outbox.path in edge.yaml."
            ) from error
        self._fd = fd
        try:
            os.ftruncate(fd, 0)
            os.write(fd, str(os.getpid()).encode())
        except OSError:  # a full disk: the lock holds all the same, only its holder is not named
            return self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

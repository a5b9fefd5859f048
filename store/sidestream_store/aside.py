"""A file that is there whole or not at all: written aside, made durable, then given its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sidestream_contracts.errors import ConfigurationError


@contextmanager
def written_aside(path: Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """A file to write into, readable by its owner alone, that becomes `path` when the block ends well and else vanishes.

    ConfigurationError when `path` is there already and `force` is not given, or when it can't be written.
    """
    if path.exists() and not force:
        raise ConfigurationError(f"{path} is there already; choose another name, or overwrite it with --force.")
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror or error}.") from error
    finally:
        aside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Where an agent's door is: a Unix socket beside its outbox, for the agent's own user only."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

_LONGEST = 100
"""Bytes of path that a socket address takes on every system (Linux: 107)."""


def door_of(outbox: Path) -> Path:
    """The socket of the agent that holds `outbox`."""
    return outbox.with_name(outbox.name + ".door")


def at(path: Path, use: Callable[[str], None]) -> None:
    """`use` gets an address for `path` that is short enough, whatever the path; OSError as `use` raises it."""
    if len(os.fsencode(path)) <= _LONGEST:
        use(str(path))
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        use(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def new_socket() -> socket.socket:
    """A socket of the kind that both sides use."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

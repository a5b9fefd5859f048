"""TCP ports for embedded servers: find a free one, or say plainly why a chosen one can't be had."""

from __future__ import annotations

import errno
import random
import socket

from sidestream_contracts.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65_535
# Below Linux' range for outgoing connections (32768 up): while a server restarts, no client's own port can land on it.
_QUIET_RANGE = range(20_000, 32_768)
_TRIES = 50


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on `host:port` now (ports in TIME_WAIT count as free, as they do for servers).

    Raises ConfigurationError when `host` is no address of this machine, or the port is one we may not use.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ConfigurationError(
                f"Cannot listen on {host}:{port}: {error.strerror or error}. "
                "Choose an address of this machine and a port from 1024 to 65535."
            ) from error
    return True


def free_port(host: str = LOOPBACK) -> int:
    """A port that nothing listens on now. Ask just before use: nothing reserves it."""
    chooser = random.SystemRandom()
    for _ in range(_TRIES):
        port = chooser.choice(_QUIET_RANGE)
        if is_free(host, port):
            return port
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def require_free(host: str, port: int, what: str, option: str) -> None:
    """Returns when `host:port` can be had for `what`.

    Raises ConfigurationError naming port, purpose and `option`, the way to choose another (`--web-port`, say).
    """
    if not 1 <= port <= HIGHEST_PORT:
        raise ConfigurationError(f"Port {port} for {what} does not exist. Choose one from 1024 to 65535 with {option}.")
    if not is_free(host, port):
        raise ConfigurationError(
            f"Port {port} on {host}, wanted for {what}, is in use by another program. "
            f"Stop that program, or choose another port with {option}."
        )

"""Says over ZeroMQ which sensors a commit changed, so that pages need not wait for their next poll."""

from __future__ import annotations

from collections.abc import Iterable

import zmq

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hints import encode_hint


class HintPublisher:
    """A PUB socket that never waits: a listener that is slow or away misses hints, and polls."""

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 100)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            raise ConfigurationError(
                f"The address for hints {address!r} can't be used: {error.strerror}; choose another with --hints."
            ) from error

    def send(self, sensors: Iterable[str]) -> None:
        """One hint for all sensors of a commit."""
        self._socket.send_multipart(encode_hint(sensors), flags=zmq.NOBLOCK)

    def close(self) -> None:
        """Frees the address."""
        self._socket.close()
        self._context.term()

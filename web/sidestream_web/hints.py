"""Ingest's hints over ZeroMQ: which sensors changed. A hint only says that it is worth looking; a lost one costs a second.

The only module of web that speaks ZeroMQ.
"""

from __future__ import annotations

import asyncio

import structlog
import zmq
import zmq.asyncio

from sidestream_contracts.hints import TOPIC, decode_hint

_log = structlog.get_logger()
_MOST_KEPT = 20_000


class Hints:
    """Gathers ids of changed sensors until they are taken; bounded, since every full read covers what was missed."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._any = asyncio.Event()

    def add(self, sensors: list[str]) -> None:
        """These sensors have a newer committed value."""
        if len(self._changed) < _MOST_KEPT:
            self._changed.update(sensors)
        if self._changed:
            self._any.set()

    async def take(self, patience_s: float) -> set[str]:
        """The sensors that changed since the last call, waiting for the first one at most `patience_s`."""
        try:
            async with asyncio.timeout(patience_s):
                await self._any.wait()
        except TimeoutError:
            return set()
        changed, self._changed = self._changed, set()
        self._any.clear()
        return changed

    async def listen(self, address: str) -> None:
        """Feeds from ingest's PUB address until cancelled; ZeroMQ reconnects by itself however often ingest restarts."""
        context = zmq.asyncio.Context()
        socket = context.socket(zmq.SUB)
        try:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVHWM, 1000)
            socket.setsockopt(zmq.SUBSCRIBE, TOPIC)
            socket.connect(address)
            _log.info("web.hints", address=address)
            while True:
                self.add(decode_hint(await socket.recv_multipart()))
        finally:
            socket.close(linger=0)
            context.term()

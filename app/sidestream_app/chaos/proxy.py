"""A TCP proxy that misbehaves on request: refuses, goes deaf, delays, is slow, resets, cuts the stream at a byte.

It stands between one edge and the broker. One event loop in one thread carries all its connections; the methods may be
called from any thread and return when the change is in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sidestream_app.embedded.ports import LOOPBACK

_CHUNK_BYTES = 65_536
_ANSWER_S = 20.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Traffic:
    """What went through so far."""

    accepted: int = 0
    cut: int = 0
    up_bytes: int = 0
    down_bytes: int = 0


class Proxy:
    """Forwards connections on `port` of 127.0.0.1 to `target_port` there, in good order until told otherwise."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.traffic = Traffic()
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        self._hears = asyncio.Event()
        self._delay_s = 0.0
        self._bytes_left: int | None = None
        self._rate_bytes_s: float | None = None

    def start(self) -> None:
        """Listens from now on; OSError where the port is taken."""
        self._thread.start()
        self.mend()

    def mend(self) -> None:
        """Forwards at once and in full from now on; what was held back while deaf goes on its way."""
        asyncio.run_coroutine_threadsafe(self._mend(), self._loop).result(_ANSWER_S)

    def refuse(self) -> None:
        """Every connection is reset and no new one is accepted."""
        self._do(self._refuse)

    def go_deaf(self) -> None:
        """Nothing is forwarded any more in either direction, nothing is closed: a half-open line."""
        self._do(self._hears.clear)

    def slow_down(self, delay_s: float) -> None:
        """Each piece of data waits for `delay_s` before it goes on."""
        self._do(lambda: setattr(self, "_delay_s", delay_s))

    def throttle(self, rate_bytes_s: float) -> None:
        """Either direction carries no more than so many bytes a second: a thin line."""
        self._do(lambda: setattr(self, "_rate_bytes_s", rate_bytes_s))

    def reset(self) -> int:
        """Every connection is reset now (TCP RST to both ends); how many there were."""
        before = self.traffic.cut
        self._do(self._reset_links)
        return self.traffic.cut - before

    def cut_after(self, size_bytes: int) -> None:
        """The next `size_bytes` bytes towards the target still pass, then their connection ends in mid-packet."""
        self._do(lambda: setattr(self, "_bytes_left", size_bytes))

    def close(self) -> None:
        """Ends every connection and the thread."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_ANSWER_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_ANSWER_S)
        self._loop.close()

    def _do(self, change: Callable[[], object]) -> None:
        async def carry_out() -> None:
            change()

        asyncio.run_coroutine_threadsafe(carry_out(), self._loop).result(_ANSWER_S)

    async def _mend(self) -> None:
        self._delay_s, self._bytes_left, self._rate_bytes_s = 0.0, None, None
        self._hears.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def _end(self) -> None:
        self._refuse()
        tasks = list(self._links)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refuse(self) -> None:
        self._stop_listening()
        self._reset_links()

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _reset_links(self) -> None:
        for writers in self._links.values():
            self.traffic.cut += 1
            for writer in writers:
                _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.accepted += 1
        try:
            back, forth = await asyncio.open_connection(LOOPBACK, self._target_port)
        except OSError:
            _reset(writer)
            return
        task = asyncio.current_task()
        if task is None:  # never within a task's own coroutine
            return
        self._links[task] = (writer, forth)
        try:
            await self._carry(reader, forth, back, writer)
        finally:
            del self._links[task]
            for end in (writer, forth):
                end.close()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Both directions until either ends."""
        pumps = {asyncio.create_task(self._pump_up(reader, forth)), asyncio.create_task(self._pump_down(back, writer))}
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump_up(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(self._chunk()):
            await self._hold(len(data))
            allowed = data if self._bytes_left is None else data[: self._bytes_left]
            sink.write(allowed)
            await sink.drain()
            self.traffic.up_bytes += len(allowed)
            if self._bytes_left is not None:
                self._bytes_left -= len(allowed)
                if self._bytes_left <= 0:
                    self._bytes_left = None
                    self.traffic.cut += 1
                    return

    async def _pump_down(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(self._chunk()):
            await self._hold(len(data))
            sink.write(data)
            await sink.drain()
            self.traffic.down_bytes += len(data)

    def _chunk(self) -> int:
        """A thin line is fed in spoonfuls of an eighth of a second."""
        return _CHUNK_BYTES if self._rate_bytes_s is None else max(1, int(self._rate_bytes_s / 8))

    async def _hold(self, size: int) -> None:
        await self._hears.wait()
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        if self._rate_bytes_s is not None:
            await asyncio.sleep(size / self._rate_bytes_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with RST instead of FIN; one that is gone already stays gone."""
    line: socket.socket | None = writer.get_extra_info("socket")
    if line is not None:
        with contextlib.suppress(OSError):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()

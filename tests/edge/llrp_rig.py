"""A real LLRP reader in a thread of its own, and an LLRP driver on a real bus, both to be started and stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

from edge_rig import edge_file, until

from sidestream_edge.bus import Bus
from sidestream_edge.measurement import Batch, Scan
from sidestream_edge.supervisor import Supervised, supervise
from sidestream_simulators.rfid_reader import RfidReader

FAST = {"epoch_s": 0.05, "delta": 1e-3}


class ReaderThread:
    """The simulated reader with a loop of its own; after `stop` a new one can be started on the same port."""

    def __init__(self, port: int = 0, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.reader = RfidReader(port=port, **options)
        self.do(self.reader.start())
        self.port = self.reader.port

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def show(self, epc: bytes, antenna: int, times: int = 1, **options: Any) -> None:
        self._loop.call_soon_threadsafe(lambda: self.reader.show(epc, antenna, times, **options))

    def play(self, reads: Any, speed: float = 1.0) -> None:
        self._loop.call_soon_threadsafe(lambda: self.reader.play(reads, speed))

    def until_reading(self) -> None:
        until(lambda: self.reader.is_reading, "an inventory runs")

    def stop(self) -> None:
        self.do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        await self.reader.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class DriverRun:
    """A supervised LLRP driver; `scans` are all that it has handed over, per lane."""

    def __init__(self, tmp_path: Any, port: int, **changes: Any) -> None:
        config = {
            "id": "dock", "type": "llrp", "host": "127.0.0.1", "port": port, "timeout_s": 0.5, "keepalive_s": 0.2,
            "smoothing": FAST, "places": [{"id": "door", "antennas": [1], "sensor": "door", "left": "door-left"}],
            **changes,
        }  # fmt: skip
        edge = edge_file(1, config)
        self._bus = Bus()
        self.batches: list[Batch] = []
        self.driver: Supervised = supervise(edge.drivers[0], tmp_path, edge, self._bus, cursor=None)
        self.driver.tick(time.monotonic())

    def scans(self, lane: str = "scan") -> list[Scan]:
        self.batches += self._bus.receive(("scan", "live", "bulk"), 0.0)
        return [scan for batch in self.batches if batch.lane == lane for scan in batch.scans]

    def told(self, lane: str = "scan") -> list[tuple[str, str]]:
        return [(scan.sensor, scan.code) for scan in self.scans(lane)]

    @property
    def status(self) -> Any:
        self.scans()
        self.driver.tick(time.monotonic())
        return self.driver.status()

    def stop(self) -> bool:
        self.driver.stop()
        ended = self.driver.join(time.monotonic() + 5)
        self.scans()
        self._bus.close(all_lines_closed=ended)
        return ended

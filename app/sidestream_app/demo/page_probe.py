"""Reads the live page's own event stream as a browser does, and notes when each reading was seen there."""

from __future__ import annotations

import http.client
import json
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator

Shown = dict[str, list[tuple[int, int]]]
"""By sensor: (time of the measurement, when the page showed it), both µs UTC, ascending."""


class PageProbe:
    """A thread that stays connected to `/api/v1/live`; `shown` holds what was seen there and when."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page probe", daemon=True)
        self.shown: Shown = {}

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no longer; `shown` is final."""
        self._stop.set()
        self._thread.join(timeout=3)

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection(self._host, self._port, timeout=2)
            try:
                connection.request("GET", "/api/v1/live", headers={"Accept": "text/event-stream"})
                for event, data in self._events(connection.getresponse()):
                    self._note(event, data)
            except (OSError, http.client.HTTPException):
                self._stop.wait(0.2)  # the page is being restarted; what waits meanwhile is seen late, and counts so
            finally:
                connection.close()

    def _events(self, response: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
        event, data = "message", ""
        while not self._stop.is_set():
            line = response.readline()
            if not line:
                return
            text = line.decode().rstrip("\r\n")
            if not text:
                yield event, data
                event, data = "message", ""
            elif text.startswith("event:"):
                event = text[6:].strip()
            elif text.startswith("data:"):
                data += text[5:].strip()

    def _note(self, event: str, data: str) -> None:
        now_us = time.time_ns() // 1000
        if event not in ("latest", "snapshot") or not data:
            return
        for item in json.loads(data)["readings"]:
            seen = self.shown.setdefault(item["sensor"], [])
            if item["t"] is not None and (not seen or seen[-1][0] < item["t"]):
                seen.append((item["t"], now_us))


def page_delays_ms(committed: Iterable[tuple[str, int]], shown: Shown) -> list[float]:
    """For each committed (sensor, time µs): how long until the page showed that reading or a newer one of its sensor, ms.

    Left out: what the page already showed when the probe came, and what is newer than the last value it saw. Pure.
    """
    delays: list[float] = []
    for sensor, time_us in committed:
        seen = shown.get(sensor, [])
        at = bisect_left(seen, (time_us, 0))
        if at < len(seen) and time_us > seen[0][0]:
            delays.append((seen[at][1] - time_us) / 1000)
    return delays

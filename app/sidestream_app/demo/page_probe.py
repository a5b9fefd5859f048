"""Reads the live page's own event stream as a browser does, and notes when each reading was seen there."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator


class PageProbe:
    """A thread that stays connected to `/api/v1/live`; `delays_ms` holds measurement → page for every new value shown."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page probe", daemon=True)
        self._shown: dict[str, int] = {}
        self.delays_ms: list[float] = []

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no longer; `delays_ms` is final."""
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
                self._stop.wait(0.2)  # the page is being restarted; what it shows afterwards counts with its full delay
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
        body = json.loads(data)
        first = event == "snapshot"
        for item in body["readings"]:
            sensor, t = item["sensor"], item["t"]
            if t is None or self._shown.get(sensor, 0) >= t:
                continue
            self._shown[sensor] = t
            if not first:
                self.delays_ms.append((now_us - t) / 1000)

"""The reconnect matrix: what every driver of a network or line survives, against a real server in a process of its own.

A test module makes a `Subject` (a server that can be started, killed and frozen, and the driver's section of `edge.yaml`)
and lets it go through `MATRIX`, whose names are the ids of the cases:

    @pytest.mark.parametrize("case", MATRIX)
    def test_it_comes_back(case, subject): MATRIX[case](subject)

The driver runs under the agent's own supervisor and bus; no broker is needed. Use short periods, time-outs and pauses.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_rig import edge_file, until

from sidestream_contracts.frame import LANES, Quality
from sidestream_contracts.messages import DriverStatus
from sidestream_edge.bus import Bus
from sidestream_edge.measurement import Batch, Reading, Scan
from sidestream_edge.supervisor import supervise

PATIENCE_S = 20.0
STOP_S = 2.0
AWAY_S = 1.0
"""Several attempts with pauses as short as the tests make them."""


class ServerProcess:
    """A server that is started, killed, frozen by SIGSTOP and woken; it counts as up when it has written `ready` to its log."""

    def __init__(
        self, command: Sequence[str], log: Path, *, ready: str = "ready", env: dict[str, str] | None = None
    ) -> None:
        self._command, self._log, self._ready = list(command), log, ready
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._log.write_text("")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._env)
        until(self._is_up, f"{self._command[:2]} is up", PATIENCE_S)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return self._ready in self._log.read_text()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Watched:
    """A driver under the supervisor, with everything that it handed over."""

    def __init__(self, section: dict[str, Any], base: Path) -> None:
        edge = edge_file(1, section)
        self.readings: list[Reading] = []
        self.scans: list[Scan] = []
        self._bus = Bus()
        self._driver = supervise(edge.drivers[0], base, edge, self._bus, cursor=None)

    def pump(self) -> None:
        """One turn of what the agent's main loop does."""
        self._driver.tick(time.monotonic())
        for batch in self._bus.receive(LANES, 0.02):
            self._take(batch)

    def _take(self, batch: Batch) -> None:
        self.readings += batch.readings
        self.scans += batch.scans
        if batch.cursor is not None:
            self._driver.stored(batch.cursor)

    @property
    def status(self) -> DriverStatus:
        return self._driver.status()

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        deadline_s = time.monotonic() + patience_s
        while not (value := condition()):
            assert time.monotonic() < deadline_s, f"{what}: not within {patience_s} s; the driver says {self.status}"
            self.pump()
        return value

    def values(self, since: int = 0) -> list[float]:
        """Values that are not bad, from the n-th reading on."""
        return [r.val for r in self.readings[since:] if r.val is not None and r.q != Quality.BAD]

    def until_good(self, what: str) -> None:
        since = len(self.readings), len(self.scans)
        self.until(lambda: self.values(since[0]) or self.scans[since[1] :], what)

    def until_trouble(self, what: str) -> str:
        return str(self.until(lambda: self.status.error, what))

    def stop(self) -> float:
        """Stops it; how long that took, in s."""
        began_s = time.monotonic()
        self._driver.stop()
        deadline_s = began_s + PATIENCE_S
        while not self._driver.join(time.monotonic() + 0.02) and time.monotonic() < deadline_s:
            list(self._bus.receive(LANES, 0.0))
        took_s = time.monotonic() - began_s
        self._bus.close(all_lines_closed=self._driver.join(0.0))
        return took_s


@dataclass
class Subject:
    """What goes through the matrix."""

    server: ServerProcess
    section: dict[str, Any]
    base: Path
    named: str
    """What a message about trouble must contain, for instance the driver's id."""

    stimulate: Callable[[], None] = field(default=lambda: None)
    """Makes the device say something, where it does not by itself; called again and again."""

    tells_outage: bool = True
    """Whether an outage is told as a reading without value, as polling drivers do."""

    tells_silence: bool = True
    """Whether a frozen server is told; a scanner that nobody uses is as silent as one that is frozen."""

    def watch(self) -> Watched:
        watched = Watched(self.section, self.base)
        pump = watched.pump

        def stimulated() -> None:
            self.stimulate()
            pump()

        watched.pump = stimulated  # type: ignore[method-assign]
        return watched


def absent_at_start(subject: Subject) -> None:
    """The server is not there when the driver starts: it says so, naming the device, and reads once it comes."""
    watched = subject.watch()
    try:
        assert subject.named in watched.until_trouble("the absence is told")
        subject.server.start()
        watched.until_good("values after the server came")
        watched.until(lambda: watched.status.error is None and watched.status.state == "running", "it is well")
    finally:
        stopped_s = watched.stop()
    assert stopped_s < STOP_S + 3


def killed_and_back(subject: Subject) -> None:
    """The server is killed under way: told, as a missing value too, and read again once it is back."""
    subject.server.start()
    watched = subject.watch()
    try:
        watched.until_good("values at first")
        subject.server.kill()
        assert subject.named in watched.until_trouble("the outage is told")
        if subject.tells_outage:
            watched.until(lambda: any(r.val is None for r in watched.readings), "a reading without value")
        subject.server.start()
        watched.until_good("values again")
        watched.until(lambda: watched.status.error is None, "it is well again")
    finally:
        watched.stop()


def frozen_and_thawed(subject: Subject) -> None:
    """The server is frozen by SIGSTOP: noticed by time-out, told, and read again after SIGCONT; restarted by nobody."""
    subject.server.start()
    watched = subject.watch()
    try:
        watched.until_good("values at first")
        restarts = watched.status.restarts
        subject.server.freeze()
        try:
            if subject.tells_silence:
                assert subject.named in watched.until_trouble("the silence is told")
        finally:
            subject.server.thaw()
        watched.until_good("values again")
        assert watched.status.restarts == restarts
    finally:
        watched.stop()


def stopped_while_frozen(subject: Subject) -> None:
    """The agent can end while the server is frozen."""
    subject.server.start()
    watched = subject.watch()
    try:
        watched.until_good("values at first")
        subject.server.freeze()
    finally:
        took_s = watched.stop()
        subject.server.thaw()
    assert took_s < STOP_S + 3


def back_after_long(subject: Subject) -> None:
    """Away for many attempts, each of which costs no thread and no descriptor; read again when it is back."""
    subject.server.start()
    watched = subject.watch()
    try:
        watched.until_good("values at first")
        subject.server.kill()
        watched.until_trouble("the outage is told")
        threads, descriptors = threading.active_count(), _descriptors()
        away_until_s = time.monotonic() + AWAY_S
        watched.until(lambda: time.monotonic() > away_until_s, "some time passes")
        assert threading.active_count() <= threads
        assert _descriptors() <= descriptors + 2  # an attempt may be under way
        subject.server.start()
        watched.until_good("values again")
    finally:
        watched.stop()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


MATRIX: dict[str, Callable[[Subject], None]] = {
    "absent at start": absent_at_start,
    "killed and back": killed_and_back,
    "frozen and thawed": frozen_and_thawed,
    "stopped while frozen": stopped_while_frozen,
    "back after long": back_after_long,
}


def never_answers(section: dict[str, Any], base: Path, *words: str) -> None:
    """With a wrong identity (unit id, node, antenna) nothing good ever comes, and the trouble says every one of `words`."""
    watched = Watched(section, base)
    try:
        text = watched.until_trouble("the wrong identity is told")
        assert [word for word in words if word not in text] == [], text
        watched.until(lambda: any(r.val is None for r in watched.readings), "a reading without value")
        assert watched.values() == []
    finally:
        watched.stop()

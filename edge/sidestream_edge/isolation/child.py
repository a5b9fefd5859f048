"""The driver's own process: `python -m sidestream_edge.isolation.child FD PARENT`, speaking to the agent over socket FD.

It ends with the agent, however that ends: by the kernel's parent-death signal, and by the end of the socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_driver import DriverPart
from sidestream_contracts.edge_plugins import PluginDriver, configured
from sidestream_contracts.errors import SidestreamError
from sidestream_contracts.frame import Lane
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge import logs
from sidestream_edge.bus import encode
from sidestream_edge.drivers import build
from sidestream_edge.drivers.base import Driver, DriverContext, Health
from sidestream_edge.isolation import health as told_health
from sidestream_edge.isolation.channel import Channel, GoneError
from sidestream_edge.marks import Marks
from sidestream_edge.measurement import Batch, Mark
from sidestream_edge.wall import Outcome

TELL_S = 0.2
_PR_SET_PDEATHSIG = 1
_AGENT_GONE = 70
_SLACK_BYTES = 256_000_000
"""Beyond `memory_mb` for thread stacks and what is mapped but never used; what is held is watched by the agent."""


class _RemoteBus:
    """The bus as seen from here: an offer is made to the agent, and its answer is waited for."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.refusing: dict[Lane, str] = {}

    def line(self, _lane: Lane) -> _RemoteBus:
        return self

    def offer(self, batch: Batch) -> bool:
        self._channel.send("batch", encode(batch).decode())
        return self.answers.get()

    def close(self) -> None:
        return


class _Child:
    """One run of the driver, with a thread that listens to the agent and one that tells it how the driver is doing."""

    def __init__(self, channel: Channel, start: dict[str, Any]) -> None:
        self._channel = channel
        self._told: dict[str, Any] = {}
        self._bus = _RemoteBus(channel)
        self._stop = threading.Event()
        self._health = Health()
        told_health.taken(self._health, start["health"])
        edge = EdgeFile.model_validate(start["edge"])
        section = edge.driver(start["driver"])
        self._driver: Driver = build(section, Path(start["base"]), edge)
        self._context = DriverContext(
            self._driver, self._bus, self._health, self._stop,
            cursor=start["cursor"], marks=Marks(Mark(*mark) for mark in start["marks"]),
        )  # fmt: skip
        for sensor in _only_known_here(section):
            self._context.announce(sensor)

    def run(self) -> None:
        """The driver has run to its end, and the agent was told how it ended."""
        self._channel.send("ready", self._driver.lane, self._driver.patience_s)
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        threading.Thread(target=self._tell_on, name="tell", daemon=True).start()
        outcome = Outcome()
        with outcome:
            self._driver.run(self._context)
        self._tell()
        _say_end(self._channel, outcome.error)

    def _listen(self) -> None:
        try:
            while True:
                for kind, *content in self._channel.receive(None):
                    match kind:
                        case "taken":
                            self._bus.refusing = content[1]
                            self._bus.answers.put(content[0])
                        case "stored":
                            self._context.stored = content[0]
                        case "stop":
                            self._stop.set()
        except GoneError:
            os._exit(_AGENT_GONE)

    def _tell_on(self) -> None:
        while True:
            self._tell()
            threading.Event().wait(TELL_S)

    def _tell(self) -> None:
        told = told_health.told(self._health)
        with contextlib.suppress(GoneError):  # whoever listens ends this process then
            if told == self._told:
                self._channel.send("beat", self._context.beats)
            else:
                self._channel.send("health", self._context.beats, told)
                self._told = told


def _only_known_here(section: DriverPart) -> Iterator[AnnouncedSensor]:
    """Sensors of a plug-in's own model: the agent does not import it, so only this process can say what they measure."""
    if isinstance(section, PluginDriver):
        known = {sensor.id for sensor in section.announced()}
        yield from (sensor for sensor in configured(section).announced() if sensor.id not in known)


def _say_end(channel: Channel, error: BaseException | None) -> None:
    if error is None:
        channel.send("ended")
    elif isinstance(error, SidestreamError):
        channel.send("raised", type(error).__name__, str(error))
    else:
        sys.excepthook(type(error), error, error.__traceback__)
        channel.send("raised", type(error).__name__, str(error))


def _end_with(parent: int) -> None:
    """From now on the kernel kills this process when the agent's thread that looks after it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_AGENT_GONE)


def _be_the_first_to_go(memory_mb: float | None) -> None:
    """On a gateway short of memory the kernel takes this process, not the agent; and it can't grow without limit."""
    if sys.platform != "linux":
        return
    import resource

    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if memory_mb is not None:
        most = int(memory_mb * 1e6) + _SLACK_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    """Runs until the driver ends, the agent says stop, or the agent is gone."""
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(fd, False)
    _end_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the agent says when to stop
    logs.configure()
    channel = Channel(socket.socket(fileno=fd))
    [[_, start], *_] = channel.receive(None)
    _be_the_first_to_go(start["memory_mb"])
    outcome = Outcome()
    with outcome:
        child = _Child(channel, start)
    if outcome.error is not None:
        _say_end(channel, outcome.error)
    else:
        child.run()


if __name__ == "__main__":
    with contextlib.suppress(GoneError):
        main()

"""Stands in the agent for a driver that runs in a process of its own, and passes on what that says.

To the supervisor it is a driver like any other. A batch counts as handed over when the agent's line has taken it and not
before, so that what a killed process had not yet got rid of is read again by its successor from the agent's own cursor.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_driver import DriverPart
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import LANES, Lane
from sidestream_edge.bus import decode
from sidestream_edge.drivers.base import DriverContext, DriverDiedError
from sidestream_edge.isolation import health
from sidestream_edge.isolation.channel import GoneError, Message
from sidestream_edge.isolation.process import Process

TURN_S = 0.1
CONFIRM_S = 0.02
"""Turn while the driver waits to hear what is durable."""

STARTUP_S = 30.0
STOP_S = 0.35
GRACE_S = 0.2
_LONGEST_TURN_S = 1.0
"""More than this between two looks is the agent's own standstill, and no sign of a hanging driver."""


class Isolated:
    """One driver of `edge` and its processes, one for each run."""

    patience_s = 60.0

    def __init__(self, config: DriverPart, base: Path, edge: EdgeFile) -> None:
        self.id, self.type = config.id, config.type
        self.lane: Lane = "live"
        self._config, self._base, self._edge = config, base, edge

    def run(self, context: DriverContext) -> None:
        """The process has ended as it should; DriverDiedError if it did not, with how it ended."""
        with self._process() as process:
            run = _Run(self, self._config.memory_mb, process, context)
            process.channel.send("start", self._start(context))
            while not run.over:
                run.turn()
            process.end(GRACE_S if run.ended else 0.0)

    @contextmanager
    def _process(self) -> Iterator[Process]:
        process = Process()
        try:
            yield process
        except GoneError as error:
            raise DriverDiedError(f"Driver {self.id}: its process {process.end(GRACE_S)}. {_AGAIN}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DriverDiedError(
                f"Driver {self.id}: its process says what can't be meant: {error}. {_AGAIN}"
            ) from error
        finally:
            process.end(0.0)

    def _start(self, context: DriverContext) -> dict[str, Any]:
        alone = self._edge.model_copy(
            update={"drivers": [self._config]}
        )  # other drivers' passwords are not its business
        return {
            "edge": alone.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "driver": self.id,
            "base": str(self._base.resolve()),
            "memory_mb": self._config.memory_mb,
            "cursor": context.cursor,
            "marks": context.marks.told(),
            "health": health.told(context.health),
        }


_AGAIN = "A new one is started in its place."


class _Run:
    """One process over its life, as the agent sees it."""

    def __init__(self, driver: Isolated, memory_mb: float | None, process: Process, context: DriverContext) -> None:
        self._driver = driver
        self._memory_mb = memory_mb
        self._process = process
        self._context = context
        self._patience_s = STARTUP_S
        self._beats = -1
        self._silent_s = 0.0
        self._looked_s = time.monotonic()
        self._stored: str | None = None
        self._stop_s: float | None = None
        self.over = False
        self.ended = False

    def turn(self) -> None:
        """Passes on what has come; raises when the process does not deserve to go on."""
        context = self._context
        context.beat()
        waits = context.cursor is not None and context.cursor != self._stored
        for message in self._process.channel.receive(CONFIRM_S if waits else TURN_S):
            self._take(message)
        if self.over:
            return
        if context.stored != self._stored:
            self._stored = context.stored
            self._process.channel.send("stored", self._stored)
        self._see_to_the_end()
        self._see_to_the_heart()
        self._see_to_the_memory()

    def _take(self, message: Message) -> None:
        match message:
            case ["ready", lane, float() | int() as patience_s] if lane in LANES:
                self._driver.lane, self._patience_s = lane, float(patience_s)
                self._silent_s = 0.0  # its start had a patience of its own
            case ["health", int() as beats, dict() as told]:
                health.taken(self._context.health, told)
                self._heard(beats)
            case ["batch", str() as text]:
                taken = self._hand_over(text)
                self._process.channel.send("taken", taken, self._context.refusing)
            case ["beat", int() as beats]:
                self._heard(beats)
            case ["ended"]:
                self.over = self.ended = True
            case ["raised", str() as kind, str() as text]:
                raise DriverDiedError(f"Driver {self._driver.id} failed: {kind}: {text}")
            case _:
                raise ValueError(f"message {message[0]!r}")

    def _heard(self, beats: int) -> None:
        if beats != self._beats:
            self._beats, self._silent_s = beats, 0.0

    def _hand_over(self, text: str) -> bool:
        batch = decode(text.encode())
        if batch.driver != self._driver.id or batch.lane not in LANES:
            raise ContractError(
                "bad_batch", f"Driver {self._driver.id} handed over a batch of {batch.driver!r}, lane {batch.lane!r}."
            )
        self._silent_s = 0.0
        if not self._context.hand_over(batch):
            return False
        self._context.marks.keep(batch.marks)
        return True

    def _see_to_the_end(self) -> None:
        """Says stop when the agent stops, and waits no longer than the agent can."""
        if not self._context.stopping:
            return
        now_s = time.monotonic()
        if self._stop_s is None:
            self._stop_s = now_s + STOP_S
            self._process.channel.send("stop")
        self.over = now_s > self._stop_s

    def _see_to_the_heart(self) -> None:
        now_s = time.monotonic()
        self._silent_s += min(now_s - self._looked_s, _LONGEST_TURN_S)
        self._looked_s = now_s
        if self._silent_s > self._patience_s:
            raise DriverDiedError(
                f"Driver {self._driver.id} hangs: no sign of life for {self._silent_s:.0f} s. Its process is killed. {_AGAIN}",
                "hung",
            )

    def _see_to_the_memory(self) -> None:
        if self._memory_mb is None:
            return
        held = self._process.held_bytes()
        if held is not None and held > self._memory_mb * 1e6:
            raise DriverDiedError(
                f"Driver {self._driver.id}: its process held {held / 1e6:.0f} MB, more than memory_mb: {self._memory_mb:g}, and"
                f" was killed. {_AGAIN} Raise memory_mb if it needs so much."
            )

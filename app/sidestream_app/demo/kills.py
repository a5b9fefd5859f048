"""Seeded kills under load: each named process gets SIGKILL at a random moment of the run."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from sidestream_app.supervise import Supervisor
from sidestream_contracts.errors import ConfigurationError, DomainError

KILLABLE = ("ingest", "broker", "edge", "postgres", "web", "flows")


@dataclass(frozen=True, slots=True)
class Kill:
    """Who dies when, seconds from the start of the run."""

    after_s: float
    target: str


def plan(targets: list[str], seconds: float, seed: int) -> list[Kill]:
    """One kill for each target between 20 % and 70 % of the run, the same for the same seed."""
    for target in targets:
        if target not in KILLABLE:
            raise ConfigurationError(f"--kill {target!r}: can't be killed on purpose; allowed: {', '.join(KILLABLE)}.")
    draw = random.Random(seed)  # noqa: S311 - a seeded plan, no secret
    return sorted((Kill(seconds * draw.uniform(0.2, 0.7), target) for target in targets), key=lambda k: k.after_s)


class Killer:
    """Carries out the plan in a thread of its own."""

    def __init__(self, supervisor: Supervisor, kills: list[Kill]) -> None:
        self._supervisor, self._kills = supervisor, kills
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self.done: list[dict[str, object]] = []

    def start(self) -> None:
        """The run begins now."""
        self._thread.start()

    def stop(self) -> None:
        """No further kill after this."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        for kill in self._kills:
            if self._stop.wait(max(0.0, began + kill.after_s - time.monotonic())):
                return
            pid = self._kill(kill.target)
            if pid is None:
                return
            self.done.append({"after_s": round(time.monotonic() - began, 2), "target": kill.target, "pid": pid})

    def _kill(self, target: str) -> int | None:
        """The pid that was killed, as soon as there is one to kill; None when told to stop."""
        while not self._stop.is_set():
            try:
                return self._supervisor.kill(target)
            except DomainError:
                self._stop.wait(0.1)  # it is being restarted just now
        return None

"""What a fault is, and the few things that most of them do."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_contracts.errors import DomainError

_RESTART_S = 15.0
_ALIVE_S = 10.0

Check = Callable[[Rig], str | None]
"""Asked when all has drained: what does not hold, or None."""


@dataclass(frozen=True, slots=True)
class Done:
    """One fault as it was: whom it struck, what was done and seen. `ok` None: it could not be done here, and `did` says why."""

    target: str
    did: str
    ok: bool | None = True
    later: Check | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the catalogue: `inject` does it within about `room_s` and returns when its cause is over."""

    number: int
    name: str
    does: str
    holds: str
    track: Track
    inject: Callable[[Rig, random.Random, float], Done]


def kill_process(rig: Rig, name: str) -> Done:
    """SIGKILL to a supervised process, which comes back by itself."""
    before = rig.supervisor.restarts(name)
    pid = _when_alive(rig, lambda: rig.supervisor.kill(name))
    if pid is None:
        return Done(name, "was never alive to be killed", ok=False)
    rig.supervisor.wait_ready(name, restarts=before + 1, timeout_s=_RESTART_S)
    return Done(name, f"pid {pid} killed with SIGKILL, back as pid {rig.supervisor.pids().get(name)}")


def kill_server(rig: Rig, name: str) -> Done:
    """SIGKILL to the database or the broker, which come back by themselves."""
    server = rig.database if name == "postgres" else rig.broker
    before = server.restarts()
    pid = _when_alive(rig, server.kill)
    if pid is None:
        return Done(name, "was never alive to be killed", ok=False)
    server.wait_ready(before + 1)
    return Done(name, f"pid {pid} killed with SIGKILL and restarted")


def _when_alive(rig: Rig, act: Callable[[], int]) -> int | None:
    """What `act` gives as soon as the process is alive; None when it never is."""
    found: list[int] = []

    def acted() -> bool:
        try:
            found.append(act())
        except DomainError:
            return False
        return True

    return found[0] if rig.until(acted, _ALIVE_S) else None

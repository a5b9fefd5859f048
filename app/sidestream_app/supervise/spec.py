"""What a supervised child is: command, environment, when it counts as ready, how it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from sidestream_app.supervise.spawn import Account
from sidestream_contracts.errors import TransientError

_NOTHING: Mapping[str, str] = MappingProxyType({})


class ChildStartError(TransientError):
    """A child did not become ready; the message carries its name, how it ended and the end of its log."""


@dataclass(frozen=True, slots=True)
class Started:
    """One life of a child, as its ready condition sees it.

    `log_offset` is the length of the log in bytes, `started_at_s` the Unix time in s, both just before the start.
    """

    pid: int
    log_path: Path
    log_offset: int
    started_at_s: float


Condition = Callable[[Started], bool]


def _at_once(_: Started) -> bool:
    """Ready as soon as it runs: for a child that nobody waits for."""
    return True


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A child to keep alive.

    `env` is laid over the supervisor's own environment. `stop_signal` asks for an orderly end; `death_signal` is what
    the child gets from the kernel when the supervisor is killed. A start counts as failed when the child is not ready
    within `ready_timeout_s`, ends with exit code 2 (a configuration error, no second try), or has ended
    `first_attempts` times before it was ever ready. Once it has been ready it is restarted for ever.
    """

    name: str
    argv: tuple[str, ...]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    cwd: Path | None = None
    ready: Condition = _at_once
    depends_on: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    ready_timeout_s: float = 30.0
    first_attempts: int = 3

"""What the web process needs to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.quarantine.entries import Selection
from sidestream_store.quarantine.resolve import Outcome

Replay = Callable[[str, Selection, str], list[Outcome]]
"""Replays what is selected, with a database login, in somebody's name."""


def _no_replay(_dsn: str, _selection: Selection, _author: str) -> list[Outcome]:
    raise ConfigurationError("This server was started without what replays messages; use `sidestream web run`.")


@dataclass(frozen=True, slots=True)
class Operators:
    """What lets operators write: the token they show and a database login that may write. Both, or writing is off."""

    token: str | None = field(default=None, repr=False)
    dsn: str | None = field(default=None, repr=False)
    replay: Replay = _no_replay


NO_OPERATORS = Operators()


@dataclass(frozen=True, slots=True)
class Settings:
    """Database and hint addresses, and the pace of the live page.

    `hints_address` is ingest's ZeroMQ PUB address; None: no hints, everything comes by polling.
    """

    dsn: str
    hints_address: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    pool_size: int = 6
    coalesce_s: float = 0.1
    readings_poll_s: float = 1.0
    states_poll_s: float = 2.0
    totals_poll_s: float = 10.0
    heartbeat_s: float = 10.0
    max_live_clients: int = 200
    operators: Operators = NO_OPERATORS

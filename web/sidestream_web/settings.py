"""What the web process needs to be told."""

from __future__ import annotations

from dataclasses import dataclass


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

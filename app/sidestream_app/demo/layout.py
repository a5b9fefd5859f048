"""Where the demo keeps things and which ports it uses; ports a user types are fixed, inner ones are whatever is free."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sidestream_app.embedded.ports import LOOPBACK, free_port, require_free


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1."""

    web: int
    prefect: int
    broker: int
    modbus: int
    scans: tuple[int, ...]
    hints: int

    @classmethod
    def choose(cls, web: int, prefect: int, broker: int, scanners: int) -> Ports:
        """`0` takes a free port; ConfigurationError names a port in use, what for, and the option that changes it."""
        taken = [
            _port(web, "the live page", "--web-port"),
            _port(prefect, "the Prefect server", "--prefect-port"),
            _port(broker, "the MQTT broker", "--broker-port"),
        ]
        inner: list[int] = []
        while len(inner) < scanners + 2:
            port = free_port()
            if port not in (*taken, *inner):
                inner.append(port)
        return cls(taken[0], taken[1], taken[2], inner[0], tuple(inner[2:]), inner[1])


def _port(asked: int, what: str, option: str) -> int:
    if asked == 0:
        return free_port()
    require_free(LOOPBACK, asked, what, option)
    return asked


@dataclass(frozen=True, slots=True)
class Layout:
    """Files of one demo under one folder, kept between runs unless asked otherwise."""

    home: Path

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def outbox(self) -> Path:
        return self.home / "edge" / "outbox.sqlite"

    @property
    def truth(self) -> Path:
        return self.home / "truth.jsonl"

    @property
    def prefect(self) -> Path:
        return self.home / "prefect"

    def prepare(self, *, fresh: bool) -> None:
        """The folders exist; with `fresh` nothing of an earlier run is in them."""
        if fresh and self.home.exists():
            shutil.rmtree(self.home)
        for folder in (self.home, self.logs, self.outbox.parent, self.prefect):
            folder.mkdir(parents=True, exist_ok=True)

"""Where the demo keeps things and which ports it uses; ports a user types are fixed, inner ones are whatever is free."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sidestream_app.embedded.ports import LOOPBACK, free_port, require_free
from sidestream_contracts.errors import ConfigurationError


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
        asked = [port for port in (web, prefect, broker) if port]
        if len(set(asked)) < len(asked):
            raise ConfigurationError("--web-port, --prefect-port and --broker-port must differ; 0 takes a free one.")
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
        """The folders exist; with `fresh` nothing of an earlier run is in them, and nothing else was touched.

        ConfigurationError for a folder that can't be used, or that holds other things and is no demo's.
        """
        try:
            if self.home.exists() and not self._mark.exists() and any(self.home.iterdir()):
                raise ConfigurationError(
                    f"{self.home} holds other things than a demo's data; choose another folder with --dir."
                )
            if fresh:
                self._clear()
            for folder in (self.home, self.logs, self.outbox.parent, self.prefect):
                folder.mkdir(parents=True, exist_ok=True)
            self._mark.write_text("Data of a Sidestream demo or replay; --fresh removes it.\n")
        except OSError as error:
            raise ConfigurationError(
                f"{self.home} can't be used: {error.strerror}; choose another folder with --dir."
            ) from error

    @property
    def _mark(self) -> Path:
        return self.home / ".sidestream"

    def _clear(self) -> None:
        """Removes what a demo makes, by name, so that a file somebody put beside it stays."""
        for folder in (self.postgres, self.logs, self.outbox.parent, self.prefect):
            if folder.exists():
                shutil.rmtree(folder)
        self.truth.unlink(missing_ok=True)

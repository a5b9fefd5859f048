"""The demo's processes and how each is started: the very commands that a user would type, with embedded servers below."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidestream_app.demo.layout import Layout, Ports
from sidestream_app.embedded.broker import broker_spec
from sidestream_app.embedded.ports import LOOPBACK
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_app.supervise import ProcessSpec, Supervisor, http_ok, log_line
from sidestream_contracts.hubcheck import load_hub

DATABASE = "sidestream"
VIEWER = "sidestream_web"
_FIRST_START_S = 120.0
"""The first start of a fresh installation compiles every module, six processes at once: over 30 s on a busy machine."""


@dataclass(frozen=True, slots=True)
class Files:
    """The hub and edge files that a stack runs, and the environment in which they are read."""

    hub: Path
    edge: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """Embedded servers and Sidestream's own processes under one supervisor."""

    def __init__(self, layout: Layout, ports: Ports, files: Files, say: Callable[[str, str], None]) -> None:
        self.layout, self.ports, self.files = layout, ports, files
        self.postgres = EmbeddedPostgres(layout.postgres)
        self.supervisor = Supervisor(on_event=say)
        self._viewer_password = secrets.token_urlsafe(16)

    @property
    def dsn(self) -> str:
        """The database as its owner. Holds a secret."""
        return self.postgres.dsn(DATABASE)

    def start_servers(self) -> None:
        """PostgreSQL and the broker are up, the schema is the newest and the hub is applied."""
        from sidestream_store.hub_apply import apply_hub
        from sidestream_store.migrate import create_database, migrate
        from sidestream_store.roles import ensure_viewer

        self.supervisor.add(self.postgres.process_spec())
        self.supervisor.add(broker_spec(self.ports.broker, self.layout.logs / "broker.log"))
        self.supervisor.start_all()
        for name in (DATABASE, "prefect"):
            create_database(self.postgres.dsn("postgres"), name)
        migrate(self.dsn)
        apply_hub(self.dsn, load_hub(self.files.hub), self.files.hub.parent)
        ensure_viewer(self.dsn, VIEWER, self._viewer_password)

    def add_simulator(self, seed: int) -> None:
        """The plant, its meters and scanners."""
        arguments = ("simulate", "--seed", str(seed), "--truth", str(self.layout.truth))
        files = ("--hub", str(self.files.hub), "--edge", str(self.files.edge))
        self._add("simulator", (*arguments, *files), ready=log_line("every port is open"))

    def add_edge(self, after: tuple[str, ...] = ()) -> None:
        """The edge agent."""
        self._add("edge", ("edge", "run", str(self.files.edge)), depends_on=("broker", *after))

    def add_ingest(self) -> None:
        """One ingest worker."""
        self._add(
            "ingest", ("ingest", "run"), depends_on=("postgres", "broker"), ready=log_line("connected to the broker")
        )

    def add_web(self) -> None:
        """The live page, logged in as a viewer that reads the views and nothing else; with a token, operators may write."""
        dsn = self.postgres.dsn(DATABASE, VIEWER, self._viewer_password)
        port = str(self.ports.web)
        ready = http_ok(f"http://{LOOPBACK}:{port}/api/v1/health")
        env = {"SIDESTREAM_DSN": dsn}
        if os.environ.get("SIDESTREAM_OPERATOR_TOKEN"):
            env["SIDESTREAM_OPERATOR_DSN"] = self.dsn
        self._add("web", ("web", "run", "--port", port), depends_on=("postgres",), ready=ready, env=env)

    def add_publish(self) -> None:
        """The twin's figures out again over MQTT, with the viewer's login."""
        dsn = self.postgres.dsn(DATABASE, VIEWER, self._viewer_password)
        self._add("publish", ("publish",), depends_on=("postgres", "broker"), env={"SIDESTREAM_DSN": dsn})

    def add_flows(self) -> None:
        """The flows process; it works from the start and shows its runs as soon as the Prefect server is up."""
        self._add("flows", ("flows", "run"), depends_on=("postgres",), env=self._prefect_environment())

    def add_prefect(self) -> None:
        """The Prefect server, with its own database in our PostgreSQL; it takes longest to start."""
        from sidestream_flows.server import server_argv

        self.supervisor.add(
            ProcessSpec(
                "prefect",
                tuple(server_argv(LOOPBACK, self.ports.prefect)),
                self.layout.logs / "prefect.log",
                env=self._prefect_environment(),
                depends_on=("postgres",),
                ready=http_ok(f"http://{LOOPBACK}:{self.ports.prefect}/api/health"),
                ready_timeout_s=120,
            )
        )

    def _prefect_environment(self) -> dict[str, str]:
        from sidestream_flows.server import server_env

        url = self.postgres.dsn("prefect").replace("postgresql://", "postgresql+asyncpg://", 1)
        return server_env(self.layout.prefect, url, LOOPBACK, self.ports.prefect)

    def _add(
        self,
        name: str,
        arguments: tuple[str, ...],
        *,
        depends_on: tuple[str, ...] = (),
        ready: object = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        options = {} if ready is None else {"ready": ready}
        self.supervisor.add(
            ProcessSpec(
                name,
                (sys.executable, "-m", "sidestream_app", *arguments),
                self.layout.logs / f"{name}.log",
                env={**self._environment(), **(env or {})},
                depends_on=depends_on,
                ready_timeout_s=_FIRST_START_S,
                **options,  # type: ignore[arg-type]
            )
        )

    def _environment(self) -> dict[str, str]:
        """What the processes find in their environment, beside what this one has."""
        return {
            "SIDESTREAM_DSN": self.dsn,
            "SIDESTREAM_BROKER_HOST": LOOPBACK,
            "SIDESTREAM_BROKER_PORT": str(self.ports.broker),
            "SIDESTREAM_HINTS": f"tcp://{LOOPBACK}:{self.ports.hints}",
            "SIDESTREAM_OUTBOX": str(self.layout.outbox),
            **self.files.env,
        }

"""The fuzzer as a command: a database of its own, progress, figures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import structlog

from sidestream_app.chaos import plant
from sidestream_app.chaos.fuzz import Fuzzer
from sidestream_app.demo.layout import Layout
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_contracts.hubcheck import load_hub

_DATABASE = "sidestream"
_TELL_EVERY_S = 5.0
_SHOWN = 5


def run(home: Path, count: int, seed: int) -> dict[str, Any]:
    """The figures of one run on a fresh database under `home`."""
    from sidestream_store.hub_apply import apply_hub
    from sidestream_store.migrate import create_database, migrate

    layout = Layout(home.absolute())
    layout.prepare(fresh=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # what the worker says of bad messages
    postgres = EmbeddedPostgres(layout.postgres)
    postgres.start()
    try:
        create_database(postgres.dsn("postgres"), _DATABASE)
        migrate(postgres.dsn(_DATABASE))
        hub = plant.write(layout.home / "hub.yaml", plant.hub_yaml())
        apply_hub(postgres.dsn(_DATABASE), load_hub(hub), hub.parent)
        fuzzer = Fuzzer(postgres.dsn(_DATABASE), seed)
        begin_s = time.monotonic()
        fuzzer.run(count, _Progress(count))
        return _figures(fuzzer, seed, time.monotonic() - begin_s)
    finally:
        postgres.stop()


def _figures(fuzzer: Fuzzer, seed: int, took_s: float) -> dict[str, Any]:
    neighbours, unanswered, unexplained = fuzzer.neighbours(), fuzzer.unanswered(), fuzzer.unexplained()
    bad = neighbours.lost + neighbours.doubled + len(unanswered) + len(unexplained)
    return {
        "seed": seed,
        "ok": bad == 0,
        "bad_messages": fuzzer.bad,
        "with_readable_key": len(fuzzer.owed),
        "unanswered": len(unanswered),
        "unexplained": len(unexplained),
        "unexplained_sample": [f"{entry.reason}: {entry.detail}" for entry in unexplained[:_SHOWN]],
        "good_readings": neighbours.sent,
        "lost": neighbours.lost,
        "doubled": neighbours.doubled,
        "quarantine_reasons": dict(sorted(fuzzer.reasons().items())),
        "took_s": round(took_s, 1),
        "messages_per_s": round(fuzzer.door.released / took_s, 0),
    }


def as_text(found: dict[str, Any]) -> str:
    """The figures for people."""
    reasons = ", ".join(f"{name} {count}" for name, count in found["quarantine_reasons"].items())
    return (
        f"{found['bad_messages']} bad messages among {found['good_readings']} good readings in {found['took_s']} s: "
        f"{'all held' if found['ok'] else 'FAILED'}\n"
        f"neighbours lost {found['lost']}, doubled {found['doubled']}; unanswered {found['unanswered']} of "
        f"{found['with_readable_key']}; unexplained {found['unexplained']} {found['unexplained_sample'] or ''}\n"
        f"quarantine: {reasons}"
    )


class _Progress:
    """Says on stderr now and then how far it is."""

    def __init__(self, count: int) -> None:
        self._count, self._told_s = count, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._told_s > _TELL_EVERY_S:
            self._told_s = time.monotonic()
            sys.stderr.write(f"{done} of {self._count} bad messages\n")

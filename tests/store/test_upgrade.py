"""A database of every schema that was ever landed comes forward with all it holds, and delivery goes on where it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from frames import EPOCH
from yoyo import get_backend, read_migrations

from sidestream_store.ledger import acknowledgements
from sidestream_store.migrate import MIGRATIONS, migrate, yoyo_uri
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server
RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql"))


def as_released(dsn: str, content: Path) -> None:
    """The database as the version that landed this schema left it."""
    backend = get_backend(yoyo_uri(dsn))
    of_then = read_migrations(MIGRATIONS).filter(lambda step: step.id.split(".")[0] <= content.stem)
    with backend.lock():
        backend.apply_migrations(backend.to_apply(of_then))
    backend.connection.close()
    with psycopg.connect(dsn) as connection:
        connection.execute(content.read_text())


@pytest.fixture(params=RELEASED, ids=lambda path: path.stem)
def upgraded(request, postgres):
    name = f"upgrade_{request.param.stem}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    as_released(postgres.dsn(name), request.param)
    assert migrate(postgres.dsn(name)).applied
    with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
        yield connection
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_old_database_keeps_its_readings_figures_and_ledger(upgraded):
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    ask = upgraded.execute
    readings = ask("SELECT value, quality FROM sidestream_v.reading WHERE sensor = 'flow' ORDER BY time").fetchall()
    assert readings == [(10.0, 0), (12.0, 0), (None, 2)]
    assert ask("SELECT code FROM sidestream_v.scan").fetchall() == [("BAG-1",)]
    assert ask("SELECT n, bad, mean FROM sidestream_v.rollup_1m WHERE bucket = %s", [at]).fetchall() == [(2, 1, 11.0)]
    assert ask("SELECT value, inputs FROM sidestream_v.twin_value").fetchall() == [(1000.0, {"sensors": ["flow"]})]
    assert ask("SELECT reason, state FROM sidestream_v.quarantine").fetchall() == [("not_json", "open")]
    assert ask("SELECT sensor, code FROM sidestream_v.latest WHERE code IS NOT NULL").fetchall() == [("gate", "BAG-1")]


def test_an_old_database_goes_on_acknowledging_where_it_was(upgraded):
    told = {
        ack.lane: (ack.upto, ack.also)
        for _, ack in acknowledgements(upgraded, [(1, EPOCH, "l", 4), (1, EPOCH, "s", 1), (1, EPOCH, "s", 2)])
    }
    assert told == {"live": (2, [(4, 4)]), "scan": (1, [])}


def test_the_twin_of_now_goes_on_with_an_old_database_before_a_hub_is_applied_again(upgraded):
    report = update_until_clean(upgraded, now_at=datetime(2026, 11, 20, 13, 0, tzinfo=UTC))
    assert (report.problems, report.more) == ((), False)


def test_sums_of_a_flow_and_of_its_register_are_compared_from_before_the_upgrade_on(upgraded):
    pairs = upgraded.execute("SELECT level, total, paired_total FROM sidestream_v.twin_sum_pair").fetchall()
    assert all(paired == total for _, total, paired in pairs)
    assert {level for level, *_ in pairs} in (set(), {"quarter", "hour", "six_hours", "day"})


def test_a_migration_that_was_killed_leaves_nothing_that_keeps_the_next_one_out(database, connect):
    """The mark that it was running stays in the database; whoever comes next knows that nobody is."""
    connection = connect()
    connection.execute("INSERT INTO public.yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    connection.execute("DELETE FROM public._yoyo_migration WHERE migration_id = '0011.status'")
    connection.execute("DROP VIEW sidestream_v.worker, sidestream_v.storage; DROP TABLE sidestream.worker")
    assert migrate(database).applied == ("0011.status",)
    assert connection.execute("SELECT count(*) FROM public.yoyo_lock").fetchone() == (0,)

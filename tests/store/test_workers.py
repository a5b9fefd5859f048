"""Heartbeats: who is there is seen by a reader of the views, who was killed too for an hour, and who left is gone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from sidestream_store.partitions import ensure_range
from sidestream_store.workers import Identity, beat, farewell

pytestmark = pytest.mark.server


def rows(connection, columns="worker, alive"):
    return connection.execute(f"SELECT {columns} FROM sidestream_v.worker ORDER BY started_at").fetchall()


def test_a_beat_shows_the_worker_alive_with_its_figures_until_it_leaves(connect):
    connection, who = connect(), Identity("ingest")
    beat(connection, who, {"readings": 1})
    beat(connection, who, {"readings": 2, "trouble": None})
    assert rows(connection, "worker, kind, alive, figures") == [
        (who.worker, "ingest", True, {"readings": 2, "trouble": None})
    ]
    farewell(connection, who)
    assert rows(connection) == []


def test_a_silent_worker_counts_as_gone_and_its_row_goes_after_an_hour(connect):
    connection, dead, alive = connect(), Identity("ingest"), Identity("ingest")
    beat(connection, dead, {})
    connection.execute("UPDATE sidestream.worker SET seen_at = now() - interval '1 minute'")
    beat(connection, alive, {})
    assert rows(connection) == [(dead.worker, False), (alive.worker, True)]
    connection.execute(
        "UPDATE sidestream.worker SET seen_at = now() - interval '2 hours' WHERE worker = %s", [dead.worker]
    )
    beat(connection, alive, {})
    assert rows(connection) == [(alive.worker, True)]


def test_storage_tells_how_far_partitions_reach_and_how_much_waits(connect):
    connection = connect()
    connection.execute("SET ROLE sidestream_viewer")
    assert connection.execute("SELECT profile, partitions_until, dirty_ranges FROM sidestream_v.storage").fetchone() == (
        "plain", None, 0,
    )  # fmt: skip
    connection.execute("RESET ROLE")
    ensure_range(connection, datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 12, 3, tzinfo=UTC))
    connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) SELECT 1, now(), now() FROM generate_series(1, 5)"
    )
    connection.execute("SET timezone = 'Asia/Kolkata'")
    found = connection.execute("SELECT partitions_until, dirty_ranges, database_bytes > 1e6 FROM sidestream_v.storage")
    assert found.fetchone() == (datetime(2026, 12, 7, tzinfo=UTC), 5, True)


def test_workers_that_need_the_same_partitions_at_once_all_get_them(connect):
    """Two ingest workers that start together; one of them used to end with `relation already exists`."""
    start, failed = threading.Barrier(4), []

    def work(connection: psycopg.Connection) -> None:
        for month in range(1, 7):
            start.wait()
            try:
                ensure_range(connection, datetime(2026, month, 1, tzinfo=UTC), datetime(2026, month, 28, tzinfo=UTC))
            except psycopg.Error as error:
                failed.append(error)

    threads = [threading.Thread(target=work, args=(connect(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []

"""Retention on plain PostgreSQL and on TimescaleDB: what is too old goes, what was made from it stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hub_files import test_hub
from psycopg.types.json import Jsonb

from sidestream_contracts.hub import Retention
from sidestream_contracts.hubcheck import check_hub
from sidestream_store.hub_apply import apply_hub
from sidestream_store.maintenance import maintain
from sidestream_store.partitions import ensure_range
from sidestream_store.retention import apply_retention
from sidestream_store.twin.dirty import claim

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=40)
YOUNG = NOW - timedelta(days=3)
RECORDED = datetime(2019, 5, 1, 10, 0, tzinfo=UTC)
KEPT = Retention(readings_days=14, rollup_1m_days=30, twin_values_days=30, scans_days=14, quarantine_days=14)
ROLLUPS = "SELECT '{0}', sensor_id, bucket, n, mean, low, high FROM sidestream.rollup_{0} ORDER BY 2, 3"


@pytest.mark.parametrize(
    ("retention", "field", "said"),
    [
        ({"readings_days": 30}, "readings_days", "late_days"),
        ({"scans_days": 399}, "scans_days", "late_days"),
        ({"rollup_1m_days": 900}, "rollup_1m_days", "readings_days is not given"),
        ({"readings_days": 500, "twin_values_days": 400}, "twin_values_days", "it is 500"),
    ],
)
def test_a_retention_that_would_lose_what_comes_late_is_refused(retention, field, said):
    problems = list(check_hub(test_hub(retention=retention)))
    assert [problem.where for problem in problems] == [("retention", field)]
    assert said in problems[0].message


def test_by_default_everything_that_was_measured_is_kept_for_ever():
    assert list(check_hub(test_hub())) == []
    kept = Retention()
    assert (kept.readings_days, kept.rollup_1m_days, kept.twin_values_days, kept.scans_days) == (None,) * 4


def fill(connection: psycopg.Connection, retention: Retention = KEPT) -> None:
    """Two sensors: `1` sent live long ago and lately, `2` only has a recording of 2019."""
    connection.execute("SET timezone = 'UTC'")
    connection.execute(
        "INSERT INTO sidestream.hub_version (hub, hash, content) VALUES ('h', '', %s)",
        [Jsonb({"retention": retention.model_dump(mode="json")})],
    )
    if connection.execute("SELECT FROM sidestream.hub").fetchone() is None:
        connection.execute(
            "INSERT INTO sidestream.hub (id, name, timezone, synthetic, step_s, late_s, early_s, version_id)"
            " SELECT 'h', 'H', 'Asia/Kolkata', true, 10, 1e6, 300, max(version_id) FROM sidestream.hub_version"
        )
        connection.execute(
            "INSERT INTO sidestream.device (party, id, name) VALUES ('a', 'gw', 'G');"
            "INSERT INTO sidestream.sensor (id, device_id, name, quantity, unit, si_unit, si_factor, si_offset, role,"
            " limit_pct, limit_abs, random_pct, random_abs)"
            " SELECT 's' || n, 1, 'F', 'temperature', 'Cel', 'K', 1, 273.15, 'other', 0, 0, 0, 0 FROM generate_series(1, 2) n"
        )
    ensure_range(connection, OLD, NOW)
    for start in (OLD, YOUNG):
        connection.execute(
            "INSERT INTO sidestream.reading (time, sensor_id, value, quality, frame_id)"
            " SELECT %s::timestamptz + n * interval '10 min', 1, n, 0, 1 FROM generate_series(0, 143) n",
            [start],
        )
    connection.execute(
        "INSERT INTO sidestream.reading_recorded (time, sensor_id, value, quality, frame_id)"
        " SELECT %s::timestamptz + n * interval '10 min', 2, n, 0, 2 FROM generate_series(0, 143) n",
        [RECORDED],
    )
    for sensor, start in ((1, OLD), (1, YOUNG), (2, RECORDED)):
        refresh(connection, sensor, start)


def refresh(connection: psycopg.Connection, sensor: int, start: datetime) -> None:
    connection.execute(
        "SELECT sidestream.refresh_rollups(ARRAY[%s::int], %s, %s)", [sensor, start, start + timedelta(days=1)]
    )


def rollups(connection: psycopg.Connection) -> list[tuple]:
    return [row for level in ("1m", "1h", "1d") for row in connection.execute(ROLLUPS.format(level)).fetchall()]


@pytest.fixture(params=["plain", "wasm", "native"])
def filled(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A database of each profile with two months of history."""
    if request.param == "wasm":
        connection = request.getfixturevalue("timescale")
        fill(connection)
        yield connection
        connection.execute(
            "TRUNCATE sidestream.reading, sidestream.reading_recorded, sidestream.rollup_1m, sidestream.rollup_1h,"
            " sidestream.rollup_1d, sidestream.dropped, sidestream.dirty, sidestream.scan, sidestream.lot"
        )
        return
    dsn = request.getfixturevalue("database" if request.param == "plain" else "native_timescale")
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection)
        yield connection


@pytest.mark.server
@pytest.mark.slow
def test_old_readings_go_and_what_was_made_of_them_stays(filled):
    before = rollups(filled)
    told = apply_retention(filled, NOW, dry_run=True)
    assert rollups(filled) == before
    assert filled.execute("SELECT count(*) FROM sidestream.reading").fetchone() == (288,)

    gone = apply_retention(filled, NOW)
    assert [(g.part, g.count) for g in gone] == [(g.part, g.count) for g in told if g.part == "readings"] + [
        ("minute roll-ups", 144)
    ]
    assert filled.execute("SELECT count(*), min(time) FROM sidestream.reading").fetchone() == (144, YOUNG)
    assert filled.execute("SELECT count(*) FROM sidestream.reading_recorded").fetchone() == (144,)
    after = [row for row in before if not (row[0] == "1m" and row[1] == 1 and row[2] < YOUNG)]
    assert rollups(filled) == after

    # Whatever asks for it to be computed again: a correction, a changed hub.yaml, a reading that is later than allowed.
    for sensor, start in ((1, OLD), (1, OLD - timedelta(days=1)), (1, YOUNG), (2, RECORDED)):
        refresh(filled, sensor, start)
    refresh(filled, 1, OLD + timedelta(hours=12))
    assert rollups(filled) == after
    assert apply_retention(filled, NOW) == []


@pytest.mark.server
@pytest.mark.slow
def test_dirty_ranges_of_dropped_time_are_taken_and_left_uncomputed(filled):
    apply_retention(filled, NOW)
    filled.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) VALUES"
        " (1, %(old)s, %(young)s), (1, %(old)s, %(old)s), (2, %(recorded)s, %(recorded)s), (3, %(old)s, %(old)s)",
        {"old": OLD, "young": YOUNG, "recorded": RECORDED},
    )
    taken = claim(filled, 10, 100)
    assert taken.rows == 4
    before = filled.execute("SELECT before FROM sidestream.dropped WHERE sensor_id = 1").fetchone()[0]
    assert NOW - timedelta(days=15 + 7) < before <= NOW - timedelta(days=15)
    first = int((before + timedelta(days=1)).timestamp()) // 10
    assert [(c.sensor_id, c.first) for c in taken.changed] == [
        (1, first), (2, int(RECORDED.timestamp()) // 10), (3, int(OLD.timestamp()) // 10)
    ]  # fmt: skip
    filled.execute("INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) VALUES (1, %s, %s)", [OLD, OLD])
    assert claim(filled, 10, 1) == type(taken)(1, ())


@pytest.mark.server
def test_scans_of_lots_that_were_seen_since_and_open_quarantine_stay(connect):
    connection = connect()
    fill(connection)
    connection.execute(
        "INSERT INTO sidestream.scan SELECT t, 1, code, NULL, 0, false, 1 FROM"
        " (VALUES ('GONE', %(old)s), ('HERE', %(old)s), ('HERE', %(young)s)) x (code, t)",
        {"old": OLD, "young": YOUNG},
    )
    connection.execute(
        "INSERT INTO sidestream.lot (code, since_at, last_seen_at, scans, computed_at)"
        " VALUES ('GONE', %(old)s, %(old)s, 1, now()), ('HERE', %(old)s, %(young)s, 2, now())",
        {"old": OLD, "young": YOUNG},
    )
    connection.execute(
        "INSERT INTO sidestream.quarantine (device, reason, hash, detail, topic, properties, raw, first_at, last_at, count,"
        " readings, state, closed_at) SELECT 'd', 'r', s || n, '', '', '[]', '', %(old)s, %(old)s, 1, 1, s,"
        "   CASE WHEN s <> 'open' THEN CASE n WHEN 1 THEN %(old)s::timestamptz ELSE %(young)s END END"
        " FROM unnest(ARRAY['open', 'replayed', 'discarded']) s, generate_series(1, 2) n",
        {"old": OLD, "young": YOUNG},
    )
    gone = {g.part: g.count for g in apply_retention(connection, NOW)}
    assert (gone["scans"], gone["quarantine"]) == (1, 2)
    assert connection.execute("SELECT code, count(*) FROM sidestream.scan GROUP BY 1").fetchall() == [("HERE", 2)]
    assert connection.execute("SELECT count(*) FROM sidestream.lot").fetchone() == (2,)
    assert connection.execute("SELECT state, count(*) FROM sidestream.quarantine GROUP BY 1 ORDER BY 1").fetchall() == [
        ("discarded", 1), ("open", 2), ("replayed", 1),
    ]  # fmt: skip


@pytest.mark.server
def test_maintain_makes_partitions_ahead_and_says_what_it_did(connect):
    connection = connect()
    fill(connection)
    told = maintain(connection, NOW, dry_run=True)
    done = maintain(connection, NOW, vacuum=True)
    assert (told.partitions, done.partitions) == (0, 2)
    assert [g.part for g in told.gone][:1] == [g.part for g in done.gone][:1] == ["readings"]
    assert any("partitions from before 2026-11-0" in remark for remark in done.remarks())
    assert done.sizes["readings"] < told.sizes["readings"]
    assert maintain(connection, NOW).partitions == 0


@pytest.mark.server
def test_a_changed_retention_is_applied_and_has_nothing_computed_again(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    connection.execute(
        "INSERT INTO sidestream.scan SELECT now(), sensor_id, 'B', NULL, 0, false, 1 FROM sidestream.sensor WHERE id = 'gate'"
    )
    diff = apply_hub(database, test_hub(retention={"readings_days": 800}), tmp_path)
    assert diff.changed == ("retention",)
    assert connection.execute("SELECT count(*) FROM sidestream.dirty").fetchone() == (0,)
    kept = connection.execute("SELECT content -> 'retention' FROM sidestream.hub_version ORDER BY 1 DESC").fetchall()
    assert json.dumps(kept).count("800") == 1

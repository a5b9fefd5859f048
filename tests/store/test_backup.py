"""A backup made while writes go on, restored into an empty database: all is as it was, and ingest goes on where it was."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from frames import GATEWAY, NOW, NOW_US, key_of, readings_body, scans_body
from hub_files import TEST_HUB, test_hub
from psycopg import sql

from sidestream_contracts.errors import ConfigurationError
from sidestream_ingest.check import check_frame
from sidestream_store.backup import inventory
from sidestream_store.backup.archive import opened
from sidestream_store.backup.load import load
from sidestream_store.backup.save import save
from sidestream_store.batch import CheckedFrame
from sidestream_store.catalogue import device_number, load_catalogue
from sidestream_store.delivery import apply_frames
from sidestream_store.hub_apply import apply_hub
from sidestream_store.ledger import acknowledgements
from sidestream_store.maintenance import compact
from sidestream_store.migrate import known_migrations, migrate
from sidestream_store.partitions import Partitions
from sidestream_store.quarantine import Message
from sidestream_store.workers import Identity, beat
from sidestream_twin.update import update

pytestmark = pytest.mark.server
OLD_SCHEMA = Path(__file__).parent / "released" / "0005.sql"
OLD_US = NOW_US - 40 * 86_400_000_000


@pytest.fixture
def elsewhere(postgres) -> Iterator[Callable[[], str]]:
    """Makes empty databases without any schema."""
    names: list[str] = []
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:

        def make() -> str:
            names.append(f"elsewhere_{id(names)}_{len(names)}")
            admin.execute(f"CREATE DATABASE {names[-1]}")
            return postgres.dsn(names[-1])

        yield make
        for name in names:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def frame(sql_: psycopg.Connection, payload: bytes, seq: int, channel: str = "readings", **key: str) -> CheckedFrame:
    message = Message(GATEWAY.topic(channel), f"{GATEWAY.hub}/{GATEWAY.party}/{GATEWAY.device}", payload, NOW, ())
    device = device_number(sql_, GATEWAY.party, GATEWAY.device)
    return check_frame(message, key_of(payload, seq, **key), device, load_catalogue(sql_), lambda s: s)


def reading_frame(sql_: psycopg.Connection, seq: int) -> CheckedFrame:
    """Ten readings of odd floats, one null, one of a sensor that nobody knows."""
    rows = [("flow", NOW_US + seq * 10_000_000 + n * 1000, 10 + (n + seq) / 7) for n in range(10)]
    return frame(sql_, readings_body(*rows, ("tin", NOW_US + seq, None), ("nosuch\tone", NOW_US, 1.0)), seq)


@pytest.fixture
def filled(database, connect, tmp_path) -> psycopg.Connection:
    """A hub with readings of two months, scans, quarantine, roll-ups, figures, and two versions of its file."""
    apply_hub(database, test_hub(), tmp_path)
    apply_hub(database, test_hub(hub=TEST_HUB["hub"] | {"name": "Læringshub \\ one\ttwo"}), tmp_path)
    connection = connect()
    Partitions().ensure(connection, [NOW_US, OLD_US])
    apply_frames(connection, [reading_frame(connection, seq) for seq in range(1, 20)])
    old = readings_body(*[("silo_mass", OLD_US + n * 1_000_000, 1e-30 * n) for n in range(60)])
    past = readings_body(("flow", NOW_US - 900 * 86_400_000_000, 0.1 + 0.2), clock="recorded")
    codes = scans_body(("gate", NOW_US, "BAG-1"), ("gate", NOW_US + 1, "BAG-\\N\\.æ€"))
    apply_frames(
        connection,
        [
            frame(connection, old, 1, lane="bulk"),
            frame(connection, past, 2, lane="bulk"),
            frame(connection, codes, 1, "scans", lane="scan"),
        ],
    )
    update(database, NOW + timedelta(minutes=10))
    return connection


def content(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Every table and every view that does not look at the clock, as sorted text."""
    names = [("sidestream", table.name) for table in inventory.tables(connection)]
    views = connection.execute(
        "SELECT viewname FROM pg_views WHERE schemaname = 'sidestream_v' AND viewname NOT IN ('storage', 'worker')"
    ).fetchall()
    found = {}
    for schema, name in (*names, *(("sidestream_v", view) for (view,) in views)):
        rows = connection.execute(
            sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(schema, name))
        ).fetchall()
        found[f"{schema}.{name}"] = sorted(row[0] for row in rows)
    return found


def test_all_tables_and_views_are_as_they_were_and_ingest_goes_on(filled, database, tmp_path, elsewhere):
    before = content(filled)
    assert all(before[f"sidestream.{name}"] for name in ("reading", "rollup_1d", "twin_value", "lot", "quarantine"))
    manifest = save(database, tmp_path / "hub.zip")
    assert manifest.hub == "h"
    dsn = elsewhere()
    restored = load(dsn, tmp_path / "hub.zip")
    assert restored.migrated == ()
    with psycopg.connect(dsn, autocommit=True) as back:
        assert content(back) == before
        again = apply_frames(back, [reading_frame(back, 7)])
        assert (again.new, again.seen) == (0, 1)
        Partitions().ensure(back, [NOW_US])
        new = apply_frames(back, [reading_frame(back, 20)])
        assert (new.new, new.quarantined) == (1, 1)
        told = acknowledgements(back, [reading_frame(back, seq).ledger_key for seq in range(1, 21)])
        assert [ack.upto for _, ack in told] == [20]
        apply_hub(dsn, test_hub(), tmp_path)
        back.execute("SET ROLE sidestream_viewer")
        assert back.execute("SELECT count(*) FROM sidestream_v.reading").fetchone() > (0,)


def test_a_backup_goes_into_a_native_timescaledb_and_back_and_nothing_differs(
    filled, database, tmp_path, elsewhere, native_timescale
):
    """Plain → TimescaleDB → (compressed, over itself) TimescaleDB → plain; ingest, retention and compression go on there."""
    before = content(filled)
    save(database, tmp_path / "plain.zip")
    restored = load(native_timescale, tmp_path / "plain.zip")
    assert (restored.manifest.profile, restored.profile) == ("plain", "timescale")
    with psycopg.connect(native_timescale, autocommit=True) as back:
        assert content(back) == before
        policies = back.execute(
            "SELECT proc_name FROM timescaledb_information.jobs WHERE hypertable_schema = 'sidestream' ORDER BY 1"
        ).fetchall()
        assert policies == [("policy_compression",)]
        compact(back, NOW + timedelta(days=400))
        packed = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed"
        assert back.execute(packed).fetchone() > (0,)
        assert content(back) == before
        new = apply_frames(back, [reading_frame(back, 20)])
        assert new.new == 1
        before = content(back)
    save(native_timescale, tmp_path / "timescale.zip")
    load(native_timescale, tmp_path / "timescale.zip", force=True)
    plain = elsewhere()
    load(plain, tmp_path / "timescale.zip")
    for dsn in (native_timescale, plain):
        with psycopg.connect(dsn, autocommit=True) as back:
            assert content(back) == before
            again = apply_frames(back, [reading_frame(back, 7), reading_frame(back, 20)])
            assert (again.new, again.seen) == (0, 2)


def test_what_is_written_meanwhile_is_in_the_backup_wholly_or_not_at_all(
    filled, database, connect, tmp_path, elsewhere
):
    """A frame's ledger row and its readings are never torn apart; a later frame is not seen at all."""
    writer, began, stop = connect(), threading.Event(), threading.Event()
    written: list[int] = []

    def write() -> None:
        for seq in range(20, 4000):
            apply_frames(writer, [reading_frame(writer, seq)])
            written.append(seq)
            began.set()
            if stop.is_set():
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert began.wait(10)
        first = written[-1]
        save(database, tmp_path / "hub.zip", progress=lambda *_: None)
    finally:
        stop.set()
        thread.join()
    dsn = elsewhere()
    load(dsn, tmp_path / "hub.zip")
    with psycopg.connect(dsn, autocommit=True) as back:
        torn = back.execute(
            "SELECT count(*) FROM (SELECT frame_id, count(*) AS n FROM sidestream.reading GROUP BY 1) r"
            " FULL JOIN (SELECT frame_id FROM sidestream.frame WHERE lane = 'l') f USING (frame_id)"
            " WHERE (n IS DISTINCT FROM 11 AND f.frame_id IS NOT NULL) OR (f.frame_id IS NULL AND n NOT IN (60))"
        ).fetchone()
        assert torn == (0,)
        seen = back.execute("SELECT max(seq) FROM sidestream.frame WHERE lane = 'l'").fetchone()
        assert first <= seen[0] <= written[-1]


def test_no_partition_is_dropped_while_a_backup_is_made(filled, database, connect, tmp_path):
    """Or the backup would lack its readings and not say that they were dropped, and roll-ups be computed from nothing."""
    other, refused = connect(), []
    other.execute("SET lock_timeout = '100ms'")
    parts = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'sidestream.reading'::regclass"
    (part,) = other.execute(f"{parts} ORDER BY 1 LIMIT 1").fetchone()

    def drop(*_) -> None:
        if not refused:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(f"DROP TABLE {part}")
            refused.append(part)

    save(database, tmp_path / "hub.zip", progress=drop)
    assert refused
    other.execute(f"DROP TABLE {part}")


def test_every_table_of_the_schema_is_in_a_backup_or_left_out_for_a_reason(filled, database, tmp_path):
    manifest = save(database, tmp_path / "hub.zip")
    here = filled.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'sidestream'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition"
    ).fetchall()
    saved = {table.name for table in manifest.tables}
    assert saved | inventory.LEFT_OUT.keys() == {name for (name,) in here}
    assert not saved & inventory.LEFT_OUT.keys()
    assert all(len(reason) > 20 for reason in inventory.LEFT_OUT.values())
    others = filled.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname NOT IN"
        " ('pg_catalog', 'information_schema', 'sidestream') AND tablename !~ '^_?yoyo'"
    ).fetchall()
    assert others == [], "tables of another schema are in no backup"


@pytest.mark.parametrize("force", [False, True])
def test_a_database_that_somebody_works_on_is_refused_even_if_forced(filled, database, tmp_path, force):
    file = tmp_path / "hub.zip"
    save(database, file)
    beat(filled, Identity("ingest", host="box", pid=77), {})
    before = content(filled)
    with pytest.raises(ConfigurationError, match=r"ingest \(process 77 on box\).*Nothing was changed"):
        load(database, file, force=force)
    assert content(filled) == before
    filled.execute("UPDATE sidestream.worker SET seen_at = now() - interval '21 s'")
    load(database, file, force=True)


def test_a_database_in_use_is_refused_unless_forced_and_then_only_after_the_file_was_checked(
    filled, database, tmp_path
):
    file = tmp_path / "hub.zip"
    save(database, file)
    before = content(filled)
    with pytest.raises(ConfigurationError, match="holds a hub already"):
        load(database, file)
    broken = damaged(file, tmp_path / "broken.zip", "tables/scan.copy.zst")
    with pytest.raises(ConfigurationError, match="'scan'"):
        load(database, broken, force=True)
    assert content(filled) == before
    apply_hub(database, test_hub(lots=[]), tmp_path)
    load(database, file, force=True)
    assert content(filled) == before


def damaged(file: Path, to: Path, member: str, **manifest: object) -> Path:
    """A copy with one byte of a member changed, or with another manifest."""
    with zipfile.ZipFile(file) as good, zipfile.ZipFile(to, "w") as bad:
        for name in good.namelist():
            data = bytearray(good.read(name))
            if name == member and manifest:
                data = bytearray(json.dumps({**json.loads(data), **manifest}).encode())
            elif name == member:
                data[len(data) // 2] ^= 0x40
            bad.writestr(name, bytes(data))
    return to


def test_a_damaged_or_strange_file_is_refused_with_the_reason(filled, database, tmp_path, elsewhere):
    file, dsn = tmp_path / "hub.zip", elsewhere()
    save(database, file)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(file.read_bytes()[:-500])
    (tmp_path / "text").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a", "b")
    newer = [*known_migrations(), "9999.future"]
    for path, told in (
        (damaged(file, tmp_path / "1.zip", "tables/reading.copy.zst"), "'reading' in it is damaged"),
        (damaged(file, tmp_path / "2.zip", "manifest.json", migrations=newer), "newer version.*9999.future"),
        (damaged(file, tmp_path / "3.zip", "manifest.json", format=2), "format 2"),
        (damaged(file, tmp_path / "4.zip", "manifest.json", tables=3), "can't be understood"),
        (cut, "cut short"),
        (tmp_path / "text", "no backup"),
        (tmp_path / "other.zip", "no manifest"),
        (tmp_path / "none", "is not there"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            load(dsn, path)
    with psycopg.connect(dsn) as back:
        assert back.execute("SELECT to_regnamespace('sidestream')").fetchone() == (None,)


def test_a_backup_of_an_older_schema_comes_forward(tmp_path, elsewhere):
    old, dsn = elsewhere(), elsewhere()
    migrate(old, only=[name for name in known_migrations() if name < "0006"])
    with psycopg.connect(old) as source:
        source.execute(OLD_SCHEMA.read_text())
    manifest = save(old, tmp_path / "old.zip")
    assert manifest.migrations[-1].startswith("0005")
    migrate(dsn)  # a database that is there, migrated, and empty is as good as an empty one
    restored = load(dsn, tmp_path / "old.zip")
    assert set(restored.migrated) == set(known_migrations()) - set(manifest.migrations) != set()
    migrate(old)
    with psycopg.connect(dsn) as back, psycopg.connect(old) as source:
        views = {"sidestream_v.reading", "sidestream_v.quarantine", "sidestream_v.rollup_1m", "sidestream_v.scan"}
        found, expected = content(back), content(source)
        assert {name: found[name] for name in views} == {name: expected[name] for name in views}


def test_a_file_that_is_there_is_not_overwritten_and_a_failure_leaves_none(filled, database, tmp_path):
    file = tmp_path / "hub.zip"
    file.write_text("mine")
    with pytest.raises(ConfigurationError, match="--force"):
        save(database, file)
    assert file.read_text() == "mine"

    def interrupted(name: str, _size: int) -> None:
        if name == "sensor":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(database, file, force=True, progress=interrupted)
    assert file.read_text() == "mine"
    save(database, file, force=True)
    assert file.stat().st_mode & 0o077 == 0
    with opened(file) as archive:
        assert archive.manifest.rows > 200
    assert [path.name for path in tmp_path.iterdir() if "hub.zip" in path.name] == ["hub.zip"]
    with pytest.raises(ConfigurationError, match="can't be written"):
        save(database, tmp_path / "no" / "folder.zip")

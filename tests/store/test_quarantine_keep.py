"""Quarantine is bounded and its counts are exact, whoever writes at the same time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from frames import EPOCH, NOW

from sidestream_contracts.frame import payload_hash
from sidestream_store import audit
from sidestream_store.quarantine import KEPT, Message, insert_quarantine, keep

pytestmark = pytest.mark.server


def bad(n: int, *, readings: int = 3, raw: bytes | None = None, reason: str = "unknown_sensor", device: str = "h/a/gw"):
    raw = f"message {n}".encode() if raw is None else raw
    properties = (("epoch", EPOCH), ("lane", "live"), ("seq", str(n + 1)), ("hash", payload_hash(raw)))
    message = Message(f"sidestream/v1/{device}/readings", device, raw, NOW + timedelta(seconds=n), properties)
    return message.quarantined(reason, "A sentence.", readings)


def insert(connection, *items, size: int = 7):
    for start in range(0, len(items), size):
        with connection.transaction():
            insert_quarantine(connection, items[start : start + size])


def totals(connection):
    return connection.execute("SELECT sum(count)::int, sum(readings)::int FROM sidestream.quarantine").fetchone()


def kept(connection) -> list[int]:
    rows = connection.execute(
        "SELECT convert_from(raw, 'UTF8') FROM sidestream.quarantine WHERE NOT counted_only ORDER BY quarantine_id"
    ).fetchall()
    return [int(text.removeprefix("message ")) for (text,) in rows]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_first_and_the_last_stay_and_what_lies_between_is_counted(connect, size):
    connection = connect()
    count = 2 * KEPT + 57
    insert(connection, *(bad(n) for n in range(count)), size=size)
    assert kept(connection) == [*range(KEPT), *range(count - KEPT, count)]
    assert totals(connection) == (count, 3 * count)
    assert connection.execute(
        "SELECT count::int, readings::int, raw_bytes FROM sidestream_v.quarantine WHERE counted_only"
    ).fetchall() == [(57, 171, 0)]


def test_two_workers_in_a_flood_keep_as_many_as_one_and_count_every_message(connect):
    start = threading.Barrier(2)

    def work(mine):
        connection = connect()
        start.wait()
        insert(connection, *mine, size=23)

    items = [bad(n) for n in range(600)]
    workers = [threading.Thread(target=work, args=(items[k::2],)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    connection = connect()
    assert len(kept(connection)) == 2 * KEPT
    assert totals(connection) == (600, 1800)


def test_the_same_message_again_is_counted_and_the_same_bytes_under_another_key_are_another(connect):
    connection = connect()
    insert(connection, bad(0, raw=b"same"), bad(0, raw=b"same"), bad(1, raw=b"same"), size=2)
    assert connection.execute("SELECT count FROM sidestream.quarantine ORDER BY 1").fetchall() == [(1,), (2,)]


def test_what_comes_after_an_entry_was_discarded_is_open_again(connect):
    connection = connect()
    insert(connection, bad(0))
    connection.execute("UPDATE sidestream.quarantine SET state = 'discarded'")
    insert(connection, bad(0))
    states = connection.execute("SELECT state, count FROM sidestream.quarantine ORDER BY 1").fetchall()
    assert states == [("discarded", 1), ("open", 1)]


def test_bytes_are_bounded_too(connect, monkeypatch):
    monkeypatch.setattr(keep, "KEPT_BYTES", 1000)
    monkeypatch.setattr(keep, "LONGEST_RAW", 600)
    connection = connect()
    insert(connection, *(bad(n, raw=bytes([65 + n]) * 400) for n in range(9)), bad(9, raw=b"z" * 5000))
    total = connection.execute("SELECT sum(length(raw)) FROM sidestream.quarantine").fetchone()[0]
    assert total <= 2 * 1000
    assert totals(connection) == (10, 30)
    cut = connection.execute(
        "SELECT cut, raw_bytes, length(raw_text) FROM sidestream_v.quarantine WHERE cut"
    ).fetchall()
    assert cut == [(True, 5000, 600)]


def test_the_groups_say_what_is_only_counted(connect):
    connection = connect()
    insert(connection, *(bad(n) for n in range(2 * KEPT + 5)), bad(0, device="h/b/gw2"), size=300)
    rows = connection.execute(
        "SELECT device, messages::int, readings::int, entries::int, counted_messages::int, counted_readings::int"
        " FROM sidestream_v.quarantine_group ORDER BY 1"
    ).fetchall()
    assert rows == [("h/a/gw", 205, 615, 200, 5, 15), ("h/b/gw2", 1, 3, 1, 0, 0)]


def test_the_audit_counts_what_was_kept_and_what_was_only_counted_but_not_what_the_edge_still_has(connect, database):
    connection = connect()
    insert(connection, *(bad(n) for n in range(2 * KEPT + 5)), bad(0, reason="hash_mismatch"), size=300)
    assert audit.quarantined(database, [EPOCH]).uncounted == 3 * (2 * KEPT + 5)
    assert audit.quarantined(database, ["f" * 32]).uncounted == 0


def test_a_gateway_that_starts_again_and_again_gets_no_more_than_a_hundred_counts_and_one(connect):
    connection = connect()
    insert(connection, *(bad(n) for n in range(2 * KEPT)), size=100)
    starts = KEPT + 30
    for start in range(starts):
        epoch = f"{start:032x}"
        raw = f"late {start}".encode()
        message = Message("t", "h/a/gw", raw, NOW - timedelta(hours=starts - start), (("epoch", epoch), ("seq", "1")))
        insert(connection, message.quarantined("unknown_sensor", "A sentence.", 3))
    counted = connection.execute(
        "SELECT hash, count::int, readings::int, detail FROM sidestream.quarantine WHERE counted_only ORDER BY hash"
    ).fetchall()
    assert len(counted) == KEPT + 1
    assert totals(connection) == (2 * KEPT + starts, 3 * (2 * KEPT + starts))
    (merged,) = [row for row in counted if row[0] == "counted earlier"]
    assert merged[1:3] == (30, 90)
    assert "starts of its agent before" in merged[3]

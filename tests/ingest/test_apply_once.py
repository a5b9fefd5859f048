"""The ledger's law: any order, any repetition, any number of workers give the same tables, each reading once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from frames import EPOCH, GATEWAY, NOW, NOW_US, key_of, readings_body, scans_body
from hub_files import test_hub
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream_contracts.errors import ConfigurationError, ContractError, TransientError
from sidestream_ingest.check import check_frame
from sidestream_store.catalogue import device_number, load_catalogue, save_status
from sidestream_store.delivery import apply_frames
from sidestream_store.fault_injection import refuse_value
from sidestream_store.guard import check_writable
from sidestream_store.hub_apply import apply_hub
from sidestream_store.ledger import MOST_RANGES, acknowledgements, fold
from sidestream_store.partitions import Partitions
from sidestream_store.quarantine import Message

pytestmark = pytest.mark.server

TABLES = {
    "reading": "SELECT time, sensor_id, value, quality FROM sidestream.reading ORDER BY 1, 2, 3, 4",
    "scan": "SELECT time, sensor_id, code FROM sidestream.scan ORDER BY 1, 2, 3",
    "latest": "SELECT sensor_id, time, value, code FROM sidestream.latest ORDER BY 1",
    "frame": "SELECT device_id, epoch, lane::text, seq, hash FROM sidestream.frame ORDER BY 1, 2, 3, 4",
    "quarantine": "SELECT device, reason, hash, readings FROM sidestream.quarantine ORDER BY 1, 2, 3",
}


@pytest.fixture
def hub(database, connect, tmp_path):
    """A connection to a database that has the test hub and this week's partitions."""
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    Partitions().ensure(connection, [NOW_US])
    return connection


def checked(
    connection,
    payload: bytes,
    seq: int,
    *,
    epoch: str = EPOCH,
    lane="live",
    channel="readings",
    address=GATEWAY,
    properties=(),
    received_at=NOW,
):
    device = device_number(connection, address.party, address.device)
    name = f"{address.hub}/{address.party}/{address.device}"
    message = Message(address.topic(channel), name, payload, received_at, tuple(properties))
    key = key_of(payload, seq, lane, epoch)
    return check_frame(message, key, device, load_catalogue(connection), lambda s: s)


def dump(connection) -> dict[str, list[tuple]]:
    return {name: connection.execute(query).fetchall() for name, query in TABLES.items()}


def empty(connection) -> None:
    tables = ", ".join(f"sidestream.{t}" for t in [*TABLES, "dirty", "frame_mark", "frame_fold"])
    connection.execute(f"TRUNCATE {tables}")


def some_frames(connection):
    rows = [[("flow", NOW_US + n * 1000 + k, float(n)) for k in range(3)] for n in range(5)]
    frames = [checked(connection, readings_body(*row, ("nosuch", NOW_US, 1.0)), n + 1) for n, row in enumerate(rows)]
    scan = checked(connection, scans_body(("gate", NOW_US, "BAG-1")), 1, lane="scan", channel="scans")
    return [*frames, scan]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_arrival_order_and_repetition_gives_the_same_tables(hub, data):
    empty(hub)
    frames = some_frames(hub)
    apply_frames(hub, frames)
    expected = dump(hub)
    empty(hub)
    arrivals = data.draw(st.permutations([*frames, *data.draw(st.lists(st.sampled_from(frames), max_size=6))]))
    while arrivals:
        size = data.draw(st.integers(1, len(arrivals)))
        apply_frames(hub, arrivals[:size])
        arrivals = arrivals[size:]
    assert dump(hub) == expected


def test_a_frame_that_came_before_brings_nothing(hub):
    frame = checked(hub, readings_body(("flow", NOW_US, 1.0)), 1)
    assert apply_frames(hub, [frame]).new == 1
    again = apply_frames(hub, [frame, frame])
    assert (again.new, again.seen) == (0, 2)
    assert hub.execute("SELECT count(*) FROM sidestream.reading").fetchone() == (1,)


def test_the_same_key_with_other_bytes_goes_to_quarantine_and_the_first_counts(hub):
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 1.0)), 1)])
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 2.0)), 1)])
    assert hub.execute("SELECT value FROM sidestream.reading").fetchall() == [(1.0,)]
    assert hub.execute("SELECT reason, readings, count FROM sidestream.quarantine").fetchall() == [("key_reused", 1, 1)]


def test_two_workers_with_overlapping_batches_apply_each_frame_once(hub, connect):
    frames = [
        checked(hub, readings_body(("flow", NOW_US + n, float(n)), ("tin", NOW_US + n, 1.0)), n + 1) for n in range(60)
    ]
    start = threading.Barrier(2)

    def work(batches):
        connection = connect()
        start.wait()
        for batch in batches:
            apply_frames(connection, batch)

    forwards = [frames[n : n + 10] for n in range(0, 60, 5)]
    workers = [
        threading.Thread(target=work, args=(b,)) for b in (forwards, [list(reversed(b)) for b in reversed(forwards)])
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counted = hub.execute("SELECT count(*), count(DISTINCT (time, sensor_id)) FROM sidestream.reading").fetchone()
    assert counted == (120, 120)


def test_nothing_is_committed_when_the_transaction_fails_half_way(hub, database):
    refuse_value(database, 13.5)
    poison = checked(hub, readings_body(("flow", NOW_US, 13.5)), 2)
    with pytest.raises(ContractError, match="database refuses"):
        apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 1.0)), 1), poison])
    assert hub.execute("SELECT count(*) FROM sidestream.frame").fetchone() == (0,)
    assert hub.execute("SELECT count(*) FROM sidestream.reading").fetchone() == (0,)


def ledger_key(connection, seq: int, epoch: str = EPOCH, lane: str = "l"):
    return (device_number(connection, "a", "gw"), epoch, lane, seq)


def told(acks) -> list[int]:
    """Every seq that the acknowledgements of one lane name."""
    ranges = {r for _, ack in acks for r in ((1, ack.upto), *ack.also)}
    return sorted({n for low, high in ranges for n in range(low, high + 1)})


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(1, 9)), st.integers(1, 8))
def test_an_acknowledgement_says_exactly_what_the_ledger_has(hub, order, count):
    empty(hub)
    for n, seq in enumerate(order[:count]):
        apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US + seq, 1.0)), seq)])
        acks = acknowledgements(hub, [ledger_key(hub, seq), ledger_key(hub, 99)])
        assert told(acks) == sorted(order[: n + 1])
        assert [ack.upto + 1 in order[: n + 1] for _, ack in acks] == [False]


def test_what_is_not_committed_is_not_acknowledged(hub):
    assert acknowledgements(hub, [ledger_key(hub, 1), ledger_key(hub, 7)]) == []


def test_lanes_and_epochs_are_acknowledged_apart(hub):
    other = "f" * 32
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 1.0)), 1)])
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 2.0)), 2, epoch=other)])
    keys = [ledger_key(hub, 1), ledger_key(hub, 2, other), ledger_key(hub, 1, lane="b")]
    acks = acknowledgements(hub, keys)
    assert [(ack.epoch == EPOCH, ack.lane, ack.upto, ack.also) for _, ack in acks] == [
        (True, "live", 1, []),
        (False, "live", 0, [(2, 2)]),
    ]


def test_frames_above_more_gaps_than_fit_one_acknowledgement_are_acknowledged_too(hub):
    odd = range(1, 400, 2)
    body = readings_body(("flow", NOW_US, 1.0))
    apply_frames(hub, [checked(hub, body, seq) for seq in odd])
    acks = acknowledgements(hub, [ledger_key(hub, seq) for seq in odd])
    assert max(len(ack.also) for _, ack in acks) == 64
    assert told(acks) == list(odd)
    apply_frames(hub, [checked(hub, body, 1001)])
    ((_, ack),) = acknowledgements(hub, [ledger_key(hub, 1001)])
    assert (ack.upto, len(ack.also), ack.also[0], ack.also[-1]) == (1, 64, (3, 3), (1001, 1001))


def test_a_sender_that_leaves_gaps_for_ever_is_acknowledged_at_a_bounded_cost(hub):
    """From so many ranges on the ledger's own rows tell what is committed; they stay, so nothing is applied twice."""
    body = readings_body(("flow", NOW_US, 1.0))
    frames = [checked(hub, body, seq) for seq in (2, 5001, 5003)]
    apply_frames(hub, frames[:1])
    acknowledgements(hub, [frames[0].ledger_key])
    hub.execute(
        "UPDATE sidestream.frame_mark SET held = (SELECT range_agg(int8range(2 * n, 2 * n, '[]')) FROM generate_series(1, %s) n)",
        [MOST_RANGES],
    )
    apply_frames(hub, frames[1:])
    acks = acknowledgements(hub, [f.ledger_key for f in frames])
    assert {2, 5001, 5003} <= set(told(acks))
    assert 5002 not in told(acks)
    ask = "SELECT count(*) FROM sidestream.frame_mark, unnest(held)"
    assert hub.execute(ask).fetchone() == (MOST_RANGES,)
    assert fold(hub, NOW + timedelta(days=1)) == 0
    again = apply_frames(hub, frames)
    assert (again.new, again.seen) == (0, 3)
    assert 5003 in told(acknowledgements(hub, [frames[2].ledger_key]))


def test_the_ledger_folds_to_ranges_and_a_folded_frame_stays_committed(hub):
    frames = [checked(hub, readings_body(("flow", NOW_US + n, float(n))), n) for n in range(1, 11)]
    apply_frames(hub, frames)
    acknowledgements(hub, [f.ledger_key for f in frames[:5]])
    assert fold(hub, NOW, most=3) == 0
    assert fold(hub, NOW + timedelta(days=1), most=3) == 10
    assert hub.execute("SELECT count(*) FROM sidestream.frame").fetchone() == (0,)
    again = apply_frames(hub, [*frames, checked(hub, readings_body(("flow", NOW_US, 9.0)), 11)])
    assert (again.new, again.seen) == (1, 10)
    assert told(acknowledgements(hub, [ledger_key(hub, 4)])) == list(range(1, 11))
    assert hub.execute("SELECT count(*) FROM sidestream.reading").fetchone() == (11,)


def test_a_reading_is_explained_after_its_ledger_row_is_folded(hub):
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US + n, 1.0)), n) for n in (1, 2)])
    fold(hub, NOW + timedelta(days=1))
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US + 3, 1.0)), 3)])
    rows = hub.execute(
        "SELECT f.device, f.received_from, f.received_to, f.frames, f.folded FROM sidestream_v.reading r"
        " JOIN sidestream_v.frame f ON f.frame_from <= r.frame_id AND f.frame_to >= r.frame_id ORDER BY r.time"
    ).fetchall()
    assert rows == [("gw", NOW, NOW, 2, True)] * 2 + [("gw", NOW, NOW, 1, False)]


def test_fields_that_this_version_does_not_know_are_not_folded_away(hub):
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 1.0), colour="blue"), 1)])
    assert fold(hub, NOW + timedelta(days=1)) == 0
    assert hub.execute("SELECT extra FROM sidestream.frame").fetchone() == ({"colour": "blue"},)


def test_folding_while_the_same_frames_come_again_doubles_nothing(hub, connect):
    frames = [checked(hub, readings_body(("flow", NOW_US + n, float(n))), n) for n in range(1, 201)]
    apply_frames(hub, frames)
    stop = threading.Event()

    def send_again():
        connection = connect()
        while not stop.is_set():
            apply_frames(connection, frames)

    sender = threading.Thread(target=send_again)
    sender.start()
    other = connect()
    assert fold(other, NOW + timedelta(days=1), most=7) == 200
    stop.set()
    sender.join()
    assert hub.execute("SELECT count(*), count(DISTINCT time) FROM sidestream.reading").fetchone() == (200, 200)


def test_what_the_edge_says_of_its_clock_is_kept_and_shown(hub):
    now = datetime.now(UTC)
    for seq, (sent_s, sync) in enumerate([(-2.0, "synced"), (-3.5, "unsynced"), (None, None)], 1):
        body = readings_body(("flow", NOW_US + seq, 1.0))
        said = [] if sent_s is None else [("sent", str(round((now.timestamp() + sent_s) * 1e6))), ("sync", sync)]
        frame = checked(hub, body, seq, properties=said, received_at=now)
        apply_frames(hub, [frame])
    assert hub.execute("SELECT clock_sync::text FROM sidestream.frame ORDER BY seq").fetchall() == [
        ("s",),
        ("u",),
        ("?",),
    ]
    frames, least_s, most_s, share = hub.execute(
        "SELECT frames, least_s, most_s, synced_share FROM sidestream_v.device_clock"
    ).fetchone()
    assert (frames, round(least_s, 2), round(most_s, 2), share) == (2, 2.0, 3.5, 0.5)


def test_a_late_reading_does_not_replace_the_latest(hub):
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US, 1.0)), 1)])
    apply_frames(hub, [checked(hub, readings_body(("flow", NOW_US - 60_000_000, 9.0)), 2)])
    assert hub.execute("SELECT value FROM sidestream.latest").fetchall() == [(1.0,)]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE UNIQUE INDEX u ON sidestream.reading (time, sensor_id)", "unique index"),
        ("ALTER TABLE sidestream.reading ADD FOREIGN KEY (sensor_id) REFERENCES sidestream.sensor", "foreign key"),
    ],
)
def test_ingest_refuses_to_start_when_something_hangs_on_the_readings(hub, statement, named):
    check_writable(hub)
    hub.execute(statement)
    with pytest.raises(ConfigurationError, match=named):
        check_writable(hub)


def test_ingest_refuses_a_database_without_a_hub(database, connect):
    with pytest.raises(ConfigurationError, match="hub apply"):
        check_writable(connect())
    with pytest.raises(ConfigurationError, match="hub apply"):
        load_catalogue(connect())


def test_a_lost_connection_is_transient(hub, database):
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s", [hub.info.backend_pid])
    with pytest.raises(TransientError):
        apply_frames(hub, [])


def test_a_clone_before_the_rightful_frame_in_one_batch_is_the_one_that_is_quarantined(hub):
    rightful = checked(hub, readings_body(("flow", NOW_US, 1.0)), 1)
    clone = checked(hub, readings_body(("flow", NOW_US, 2.0)), 1)
    apply_frames(hub, [rightful])
    apply_frames(hub, [clone, rightful])
    assert hub.execute("SELECT value FROM sidestream.reading").fetchall() == [(1.0,)]
    (raw,) = hub.execute("SELECT raw FROM sidestream.quarantine").fetchone()
    assert raw == clone.message.raw


def test_a_reading_of_another_year_does_not_mark_all_that_lies_between(hub):
    year_us = 365 * 86_400_000_000
    body = readings_body(
        ("flow", NOW_US - year_us, 1.0), ("flow", NOW_US, 2.0), ("flow", NOW_US + 1, 2.0), clock="recorded"
    )
    apply_frames(hub, [checked(hub, body, 1)])
    spans = hub.execute(
        "SELECT extract(epoch FROM to_at - from_at)::float8 FROM sidestream.dirty ORDER BY from_at"
    ).fetchall()
    assert spans == [(0.0,), (1e-06,)]


def test_an_older_status_does_not_replace_a_newer_one(hub):
    device = device_number(hub, "a", "gw")
    for state, seconds in (("online", 0), ("offline", 20), ("online", 10)):
        body = {"state": state, "epoch": "e", "at": NOW.isoformat()}
        save_status(hub, device, body, NOW + timedelta(seconds=seconds))
    assert hub.execute("SELECT state FROM sidestream.device_status").fetchone() == ("offline",)


def test_a_read_only_database_is_waited_for(hub):
    frame = checked(hub, readings_body(("flow", NOW_US, 1.0)), 1)
    hub.execute("SET default_transaction_read_only = on")
    with pytest.raises(TransientError):
        apply_frames(hub, [frame])

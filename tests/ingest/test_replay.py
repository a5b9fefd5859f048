"""Replay is exactly once: whatever was quarantined, mended and replayed, the readings are those of a hub that was right at once."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from frames import EPOCH, GATEWAY, NOW, NOW_US, key_of, readings_body, scans_body
from hub_files import TEST_HUB, test_hub
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream_contracts.errors import DomainError, TransientError
from sidestream_contracts.topics import DeviceAddress
from sidestream_ingest import replay as replaying
from sidestream_ingest.arrivals import Arrival
from sidestream_ingest.check import check_frame
from sidestream_ingest.desk import Desk, save_statuses
from sidestream_ingest.replay import replay
from sidestream_ingest.subscriber import BrokerAddress
from sidestream_ingest.worker import Settings, Worker
from sidestream_store import audit
from sidestream_store.catalogue import device_number, load_catalogue, save_status
from sidestream_store.delivery import apply_frames
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import Partitions
from sidestream_store.quarantine import Message, insert_quarantine
from sidestream_store.quarantine.entries import Selection
from sidestream_store.quarantine.resolve import discard

pytestmark = pytest.mark.server

STRANGER = DeviceAddress("h", "a", "stranger")
ALL = Selection()
NEW_SENSOR = {
    "id": "new", "device": "gw", "name": "New", "quantity": "mass", "unit": "t", "role": "other", "node": "silo"
}  # fmt: skip
NEW_GATE = {"id": "newgate", "device": "gw", "name": "Gate 2", "quantity": "scan", "role": "scan", "node": "silo"}
OTHERS = {**NEW_SENSOR, "id": "others", "device": "stranger"}
HUBS = [
    test_hub(),
    test_hub(devices=[*TEST_HUB["devices"], {"id": "stranger", "party": "a", "name": "S"}]),
    test_hub(
        devices=[*TEST_HUB["devices"], {"id": "stranger", "party": "a", "name": "S"}],
        sensors=[*TEST_HUB["sensors"], NEW_SENSOR, NEW_GATE, OTHERS],
    ),
]


class Lab:
    """A hub's database with frames arriving and hub files applied."""

    def __init__(self, connection, dsn, folder):
        self.sql, self.dsn, self.folder = connection, dsn, folder
        self.apply(0)
        Partitions().ensure(connection, [NOW_US])

    def apply(self, number: int) -> None:
        apply_hub(self.dsn, HUBS[number], self.folder)

    def arrive(self, payload: bytes, seq: int, *, channel="readings", address=GATEWAY, lane="live"):
        self.apply_frame(self.checked(payload, seq, channel=channel, address=address, lane=lane))

    def apply_frame(self, frame) -> None:
        apply_frames(self.sql, [frame])

    def checked(self, payload: bytes, seq: int, *, channel="readings", address=GATEWAY, lane="live"):
        key = key_of(payload, seq, lane)
        name = f"{address.hub}/{address.party}/{address.device}"
        message = Message(address.topic(channel), name, payload, NOW, tuple(key.properties()))
        number = device_number(self.sql, address.party, address.device)
        return check_frame(message, key, number, load_catalogue(self.sql), lambda s: s)

    def replay(self, selection: Selection = ALL, connection=None):
        return list(replay(connection or self.sql, selection, "Kari"))

    def rows(self, query: str):
        return self.sql.execute(query).fetchall()

    def values(self):
        return [row[0] for row in self.rows("SELECT value FROM sidestream.reading ORDER BY time, 1")]

    def states(self):
        return self.rows("SELECT state, reason, readings::int FROM sidestream.quarantine ORDER BY quarantine_id")

    def dump(self):
        return [
            self.rows(query)
            for query in (
                "SELECT time, sensor_id, value, quality FROM sidestream.reading ORDER BY 1, 2, 3, 4",
                "SELECT time, sensor_id, value, quality FROM sidestream.reading_recorded ORDER BY 1, 2, 3, 4",
                "SELECT time, sensor_id, code, rssi, recorded FROM sidestream.scan ORDER BY 1, 2, 3, 4",
                "SELECT sensor_id, time, value, code FROM sidestream.latest ORDER BY 1",
                "SELECT device_id, epoch, lane::text, seq, hash, readings FROM sidestream.frame ORDER BY 1, 2, 3, 4",
                "SELECT reason, sum(readings) FROM sidestream.quarantine WHERE state = 'open' GROUP BY 1 ORDER BY 1",
            )
        ]

    def empty(self) -> None:
        names = ("reading", "reading_recorded", "scan", "latest", "frame", "frame_mark", "dirty", "quarantine")
        self.sql.execute("TRUNCATE " + ", ".join(f"sidestream.{name}" for name in names))


@pytest.fixture
def lab(database, connect, tmp_path):
    return Lab(connect(), database, tmp_path)


def test_readings_of_a_sensor_that_is_registered_later_come_in_under_their_own_frame(lab):
    lab.arrive(readings_body(("flow", NOW_US, 1.0), ("new", NOW_US, 2.0), ("new", NOW_US + 1, 3.0)), 1)
    lab.apply(2)
    (outcome,) = lab.replay()
    assert (outcome.state, outcome.readings, outcome.left) == ("replayed", 2, ())
    assert lab.values() == [1.0, 2.0, 3.0]
    assert lab.rows(
        "SELECT count(DISTINCT frame_id), (SELECT readings FROM sidestream.frame) FROM sidestream.reading"
    ) == [(1, 3)]
    assert lab.rows(
        "SELECT state, replayed_readings::int, closed_by FROM sidestream_v.quarantine"
    ) == [("replayed", 2, "Kari")]  # fmt: skip
    assert lab.rows(
        "SELECT author, action, readings::int, outcome FROM sidestream_v.quarantine_action"
    ) == [("Kari", "replay", 2, "2 readings taken over.")]  # fmt: skip
    ranges = "SELECT count(*) FROM sidestream.dirty d JOIN sidestream.sensor s USING (sensor_id) WHERE s.id = 'new'"
    assert lab.rows(ranges)[0][0] >= 1


def test_a_second_replay_and_a_late_resend_bring_nothing(lab):
    body = readings_body(("new", NOW_US, 2.0))
    early = lab.checked(body, 1)
    lab.apply_frame(early)
    lab.apply(2)
    lab.replay()
    lab.replay()
    lab.arrive(body, 1)
    lab.apply_frame(early)
    assert lab.values() == [2.0]
    assert [state for state, *_ in lab.states()] == ["replayed"]


def test_what_is_still_unusable_stays_open_with_its_new_reason(lab):
    body = readings_body(("others", NOW_US, 2.0), ("others", NOW_US + 1, "12,5"))
    lab.arrive(body, 1, address=STRANGER)
    lab.apply(1)
    (first,) = lab.replay()
    assert (first.state, first.readings, first.left) == ("replayed", 0, (("unknown_sensor", 2),))
    lab.apply(2)
    (second,) = lab.replay()
    assert (second.readings, second.left) == (1, (("not_a_number", 1),))
    assert lab.states() == [
        ("replayed", "unknown_device", 2),
        ("replayed", "unknown_sensor", 2),
        ("open", "not_a_number", 1),
    ]
    (third,) = lab.replay()
    assert (third.state, third.readings) == ("open", 0)
    assert third.outcome.startswith("Still not usable: `val` is '12,5'")
    assert len(lab.states()) == 3
    assert lab.values() == [2.0]


def test_bounds_at_the_door_are_those_of_the_time_at_which_it_came(lab):
    lab.sql.execute("SELECT sidestream.ensure_partitions(%s, %s)", [NOW - timedelta(days=400), NOW])
    lab.arrive(readings_body(("new", NOW_US - 399 * 86_400_000_000, 2.0)), 1)
    lab.apply(2)
    assert [o.readings for o in lab.replay()] == [1]  # however long the entry lay there


def test_what_comes_into_time_that_was_dropped_by_age_is_told_and_kept_apart(lab):
    """Taken, it would go again with the next run of retention, and no figure would have changed."""
    lab.arrive(readings_body(("new", NOW_US, 2.0), ("new", NOW_US + 60_000_000, 3.0)), 1)
    lab.apply(2)
    lab.sql.execute(
        "INSERT INTO sidestream.dropped SELECT sensor_id, %s, %s FROM sidestream.sensor WHERE id = 'new'",
        [NOW - timedelta(days=1), NOW + timedelta(seconds=30)],
    )
    lab.arrive(readings_body(("new", NOW_US + 1, 4.0), ("new", NOW_US + 60_000_001, 5.0)), 2)
    lab.arrive(readings_body(*[("new", NOW_US + n, 6.0) for n in range(20)], clock="recorded"), 3)
    (outcome,) = [o for o in lab.replay() if o.readings]
    assert outcome.left == (("time_dropped", 1),)
    (sentence,) = lab.rows("SELECT DISTINCT detail FROM sidestream.quarantine WHERE reason = 'time_dropped'")
    assert "dropped by age" in sentence[0]
    assert lab.values() == [3.0, 5.0]
    assert [row[1:] for row in lab.states() if row[0] == "open"] == [("time_dropped", 1), ("time_dropped", 1)]
    assert all("must not be replayed" in o.outcome for o in lab.replay())
    assert lab.rows("SELECT count(*) FROM sidestream.reading_recorded") == [(20,)]


def test_codes_keep_their_signal_strength_and_recorded_frames_their_clock(lab):
    lab.arrive(scans_body(("newgate", NOW_US, "BAG-1"), rssi=[-61.5]), 1, channel="scans", lane="scan")
    lab.arrive(readings_body(("new", 1_514_934_000_000_000, 1.0), clock="recorded"), 2)
    lab.apply(2)
    lab.replay()
    assert lab.rows("SELECT code, rssi, recorded FROM sidestream.scan") == [("BAG-1", -61.5, False)]
    assert lab.rows("SELECT value FROM sidestream.reading_recorded") == [(1.0,)]


@pytest.mark.parametrize(
    "reason", ["hash_mismatch", "key_reused", "parked_on_edge", "bad_key", "bad_topic", "bad_status"]
)
def test_what_must_not_be_replayed_is_refused_with_the_reason_why(lab, reason):
    frame = lab.checked(readings_body(("flow", NOW_US, 1.0)), 1)
    insert_quarantine(lab.sql, [frame.message.quarantined(reason, "A sentence.", 1)])
    (outcome,) = lab.replay()
    assert (outcome.state, outcome.readings) == ("open", 0)
    assert "must not be replayed" in outcome.outcome
    assert not lab.values()


def test_a_clone_that_took_the_key_first_is_not_overwritten(lab):
    lab.arrive(readings_body(("flow", NOW_US, 1.0)), 1)
    other = lab.checked(readings_body(("flow", NOW_US, 9.0)), 1)
    insert_quarantine(lab.sql, [other.message.quarantined("database_refused", "A sentence.", 1)])
    (outcome,) = lab.replay()
    assert "other content" in outcome.outcome
    assert lab.values() == [1.0]


def test_a_frame_that_the_database_refuses_does_not_stop_the_next(lab):
    lab.sql.execute("ALTER TABLE sidestream.reading_recorded ADD CHECK (value < 5)")
    poison = lab.checked(readings_body(("flow", NOW_US, 9.0), clock="recorded"), 1)
    insert_quarantine(lab.sql, [poison.message.quarantined("database_refused", "A sentence.", 1)])
    lab.arrive(readings_body(("new", NOW_US, 2.0)), 2)
    lab.apply(2)
    assert [(o.state, o.readings) for o in lab.replay()] == [("open", 0), ("replayed", 1)]
    assert lab.values() == [2.0]


def test_two_replays_at_the_same_time_and_a_resend_take_each_reading_once(lab, connect):
    frames = [
        lab.checked(readings_body(("new", NOW_US + n, float(n)), ("flow", NOW_US + n, 0.5)), n + 1) for n in range(40)
    ]
    apply_frames(lab.sql, frames)
    lab.apply(2)
    start = threading.Barrier(3)
    taken: list[int] = []

    def work(act):
        connection = connect()
        start.wait()
        act(connection)

    def resend(connection):
        for frame in reversed(frames):
            apply_frames(connection, [frame])

    acts = [lambda c: taken.append(sum(o.readings for o in lab.replay(connection=c)))] * 2 + [resend]
    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 40
    assert len(taken) == 2
    assert lab.rows("SELECT count(*), count(DISTINCT (time, sensor_id)) FROM sidestream.reading") == [(80, 80)]


def test_a_connection_that_dies_before_the_commit_leaves_the_entry_as_it_was(lab, connect, monkeypatch):
    lab.arrive(readings_body(("new", NOW_US, 2.0)), 1)
    lab.apply(2)
    victim = connect()

    def die(connection, *_):
        lab.sql.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        connection.execute("SELECT 1")

    with monkeypatch.context() as patched:
        patched.setattr(replaying, "record", die)
        with pytest.raises((TransientError, psycopg.OperationalError)):
            lab.replay(connection=victim)
    assert (lab.values(), [s for s, *_ in lab.states()]) == ([], ["open"])
    assert [o.readings for o in lab.replay()] == [1]


def test_the_audit_counts_a_replayed_reading_as_committed_and_no_longer_as_quarantined(lab):
    lab.arrive(readings_body(("new", NOW_US, 2.0), ("tin", NOW_US, "x")), 1)
    lab.apply(2)
    lab.replay()
    held, kept = audit.committed(lab.dsn, [EPOCH]), audit.quarantined(lab.dsn, [EPOCH])
    assert held.measurements == [("new", NOW_US, 2.0)]
    assert (kept.measurements, kept.uncounted) == ([("tin", NOW_US, "x")], 0)


def test_what_is_discarded_is_kept_with_who_and_why_and_is_not_replayed(lab):
    lab.arrive(readings_body(("new", NOW_US, 2.0)), 1)
    lab.arrive(readings_body(("new", NOW_US + 1, 3.0)), 2)
    first, _ = (row[0] for row in lab.rows("SELECT quarantine_id FROM sidestream.quarantine ORDER BY 1"))
    (done,) = discard(lab.sql, Selection(ids=(first,)), "the sensor was a test", "Ola")
    assert done.state == "discarded"
    lab.apply(2)
    lab.replay()
    assert lab.values() == [3.0]
    assert lab.rows(
        "SELECT closed_by, closed_why, raw_bytes > 0 FROM sidestream_v.quarantine WHERE state = 'discarded'"
    ) == [("Ola", "the sensor was a test", True)]  # fmt: skip
    for arguments in ((Selection(ids=(first,)), "again", "Ola"), (ALL, " ", "Ola"), (ALL, "why", "")):
        with pytest.raises(DomainError):
            discard(lab.sql, *arguments)


SENSORS = st.sampled_from(["flow", "tin", "new", "newgate", "never", "others"])
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([None, "12,5", True, 1e308])
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([GATEWAY, STRANGER]),
        st.lists(st.tuples(SENSORS, st.integers(NOW_US - 10**9, NOW_US + 5 * 10**8), VALUES), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FRAMES, st.data())
def test_any_mix_of_frames_mends_and_replays_ends_as_if_the_hub_had_been_right_from_the_start(lab, frames, data):
    bodies = [(readings_body(*rows), n + 1, address) for n, (address, rows) in enumerate(frames)]
    lab.empty()
    lab.apply(2)
    for body, seq, address in bodies:
        lab.arrive(body, seq, address=address)
    expected = lab.dump()
    lab.empty()
    lab.apply(0)
    hub = 0
    for body, seq, address in data.draw(st.permutations([*bodies, *bodies[:2]])):
        lab.arrive(body, seq, address=address)
        if hub < 2 and data.draw(st.booleans()):
            hub += 1
            lab.apply(hub)
        if data.draw(st.booleans()):
            lab.replay()
    lab.apply(2)
    lab.replay()
    lab.replay()
    assert lab.dump() == expected


def announced(lab, unit: str, sensor: str = "flow") -> None:
    """A status message of the gateway, saved as ingest does."""
    body = {
        "state": "online",
        "epoch": "e",
        "at": NOW.isoformat(),
        "sensors": [{"id": sensor, "driver": "m", "unit": unit}],
    }
    save_status(lab.sql, device_number(lab.sql, "a", "gw"), body, NOW)


def mapped(sent_unit: str):
    """The test hub in which `flow` (m3/h) is sent in another unit."""
    sensors = [{**s, "sent_unit": sent_unit} if s["id"] == "flow" else s for s in TEST_HUB["sensors"]]
    return test_hub(sensors=sensors)


def test_readings_in_a_unit_that_hub_yaml_does_not_declare_wait_until_it_is_mapped(lab):
    announced(lab, "L/s")
    lab.arrive(readings_body(("flow", NOW_US, 10.0), ("flow", NOW_US + 1, None), ("tin", NOW_US, 60.0)), 1)
    assert lab.values() == [60.0]
    ((detail,),) = lab.rows("SELECT detail FROM sidestream.quarantine WHERE reason = 'wrong_unit'")
    assert "announces 'L/s', and hub.yaml declares 'm3/h'; 1 L/s is 3.6 m3/h" in detail
    assert [o.state for o in lab.replay()] == ["open"]
    apply_hub(lab.dsn, mapped("L/s"), lab.folder)
    assert [o.readings for o in lab.replay()] == [2]
    lab.arrive(readings_body(("flow", NOW_US + 2, 20.0)), 2)
    flow = "SELECT value FROM sidestream_v.reading WHERE sensor = 'flow' ORDER BY time"
    assert lab.rows(flow) == [(36.0,), (None,), (72.0,)]
    assert lab.rows(
        "SELECT unit, sent_unit, sent_factor, converted, announced_unit FROM sidestream_v.sensor_unit WHERE sensor = 'flow'"
    ) == [("m3/h", "L/s", 3.6, True, "L/s")]  # fmt: skip


def test_what_came_in_the_old_unit_is_converted_from_it_even_if_the_edge_was_corrected_since(lab):
    announced(lab, "L/s")
    lab.arrive(readings_body(("flow", NOW_US, 10.0)), 1)
    announced(lab, "m3/h")
    (still,) = lab.replay()
    assert (still.state, lab.values()) == ("open", [])
    assert "announces 'L/s'" in still.outcome
    lab.arrive(readings_body(("flow", NOW_US + 1, 40.0)), 2)
    apply_hub(lab.dsn, mapped("L/s"), lab.folder)
    lab.replay()
    assert lab.values() == [36.0, 40.0]


def test_a_worker_takes_an_announcement_to_heart_before_the_frames_that_came_with_it(lab):
    payload = readings_body(("flow", NOW_US, 10.0))
    status = b'{"v":1,"state":"online","epoch":"e","at":"2026-11-22T12:00:00Z","sensors":[{"id":"flow","driver":"m","unit":"L/s"}]}'
    frame = Arrival(1, 1, 1, GATEWAY.topic("readings"), payload, tuple(key_of(payload).properties()), NOW)
    told = Arrival(1, 2, 1, GATEWAY.topic("status"), status, (), NOW)
    desk = Desk()
    batch = desk.sort(lab.sql, [frame, told])
    assert [q.reason for f in batch.frames for q in f.quarantine] == ["wrong_unit"]
    save_statuses(lab.sql, batch)
    assert [q.reason for f in Desk().sort(lab.sql, [frame]).frames for q in f.quarantine] == ["wrong_unit"]


def test_a_poison_frame_is_halved_out_of_its_batch_kept_and_replayed_once_it_is_none(lab):
    lab.sql.execute("ALTER TABLE sidestream.reading ADD CONSTRAINT poison CHECK (value <> 13)")
    worker = Worker(Settings(lab.dsn, BrokerAddress("127.0.0.1", 1)), threading.Event())
    worker._committing._deliver([lab.checked(readings_body(("flow", NOW_US + n, float(n))), n + 1) for n in range(20)])
    worker.leave()
    assert lab.values() == [float(n) for n in range(20) if n != 13]
    assert lab.states() == [("open", "database_refused", 1)]
    lab.sql.execute("ALTER TABLE sidestream.reading DROP CONSTRAINT poison")
    assert [o.readings for o in lab.replay()] == [1]
    assert lab.values() == [float(n) for n in range(20)]

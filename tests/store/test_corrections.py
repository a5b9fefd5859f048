"""The overlay is what anyone would compute from the corrections by hand; published figures stay readable as they were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hub_files import TEST_HUB, test_hub
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream_contracts.errors import DomainError
from sidestream_store.corrections.model import Draft
from sidestream_store.corrections.read import correction, corrections
from sidestream_store.corrections.write import make, weigh, withdraw
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range

pytestmark = pytest.mark.server

START = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)  # half an hour before the day that has 25 hours in Oslo
NOW = START + timedelta(days=20)
MINUTES = 40 * 60
LEVELS = ("1m", "1h", "1d")


@pytest.fixture
def flow(database, connect, tmp_path):
    """A connection, with a reading of `flow` every 7 minutes around the long day, rolled up when each was new."""
    apply_hub(database, test_hub(hub=TEST_HUB["hub"] | {"settle_s": 0}), tmp_path)
    connection = connect()
    connection.execute("SET timezone = 'UTC'")
    ensure_range(connection, START, START + timedelta(days=3))
    connection.execute(
        "INSERT INTO sidestream.reading SELECT %s + n * interval '7 minutes', sensor_id, n / 3.0, n %% 17 = 0, 1"
        " FROM (SELECT n, sensor_id, (n %% 17 = 0)::int AS q FROM sidestream.sensor, generate_series(0, 342) n"
        " WHERE id = 'flow') x".replace("n %% 17 = 0, 1", "q, 1"),
        [START],
    )
    refresh(connection, START + timedelta(days=4))
    return connection


def refresh(connection: psycopg.Connection, at: datetime) -> None:
    connection.execute(
        "SELECT sidestream.refresh_rollups(ARRAY[sensor_id], %s, %s, %s) FROM sidestream.sensor WHERE id = 'flow'",
        [START, START + timedelta(minutes=MINUTES), at],
    )


def seen(connection: psycopg.Connection) -> list[tuple]:
    return connection.execute(
        "SELECT time, value, quality, raw_value, correction_id FROM sidestream_v.reading WHERE sensor = 'flow' ORDER BY time"
    ).fetchall()


def figures(connection: psycopg.Connection, view: str = "rollup_{}", *extra: str) -> list[tuple]:
    columns = ", ".join(["bucket", "n", "bad", "mean", "low", "high", "first", "last", "last_at", *extra])
    return [
        (level, *row)
        for level in LEVELS
        for row in connection.execute(
            f"SELECT {columns} FROM sidestream_v.{view.format(level)} ORDER BY bucket"
        ).fetchall()
    ]


@dataclass
class Made:
    draft: Draft
    number: int
    withdrawn: bool = False


def by_hand(made: list[Made], at: datetime, raw: float, quality: int) -> tuple:
    """Newest in force wins, each from the raw reading."""
    covering = [m for m in made if not m.withdrawn and m.draft.from_at <= at < m.draft.to_at]
    if not covering:
        return raw, quality, raw, None
    newest = max(covering, key=lambda m: m.number)
    draft = newest.draft
    if draft.action == "void":
        return None, 2, raw, newest.number
    if draft.action == "set":
        return draft.value, 1, raw, newest.number
    value = draft.offset if abs(raw) < 1e-200 else raw * draft.factor + draft.offset
    return value, quality, raw, newest.number


def drafts():
    instants = st.integers(0, MINUTES).map(lambda m: START + timedelta(minutes=m))
    spans = st.tuples(instants, instants).filter(lambda s: s[0] != s[1]).map(sorted)
    numbers = st.floats(-1e6, 1e6, allow_nan=False)
    actions = st.one_of(
        st.just({"action": "void"}),
        st.builds(lambda v: {"action": "set", "value": v}, numbers),
        st.builds(
            lambda f, o: {"action": "adjust", "factor": f, "offset": o},
            st.floats(0.5, 2).filter(lambda f: f != 1),
            numbers,
        ),
    )
    return st.builds(lambda s, a: Draft("flow", s[0], s[1], reason="why", author="Kari", **a), spans, actions)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_law_of_corrections(flow, data):
    """Overlay = by hand; all withdrawn = raw, bit for bit; every past instant is readable; computing again writes nothing."""
    raw, untouched = seen(flow), figures(flow)
    at, published = NOW + data.draw(st.just(timedelta(0))), {}
    standing = flow.execute("SELECT COALESCE(max(known_at), %s) FROM sidestream.rollup_1d", [NOW]).fetchone()[0]
    at = max(at, standing) + timedelta(minutes=1)
    made: list[Made] = []
    for _ in range(data.draw(st.integers(1, 6))):
        in_force = [m for m in made if not m.withdrawn]
        if in_force and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(in_force))
            withdraw(flow, gone.number, "Ola", "mistaken", at)
            gone.withdrawn = True
        else:
            draft = data.draw(drafts())
            try:
                made.append(Made(draft, make(flow, draft, at)[0].correction_id))
            except DomainError:
                continue
        refresh(flow, at)
        published[at] = figures(flow)
        assert seen(flow) == [(t, *by_hand(made, t, r, q)) for t, _, q, r, _ in raw]
        at += timedelta(minutes=1)
    for then, figures_then in published.items():
        assert figures(flow, f"rollup_{{}}_as_known('{then.isoformat()}')") == figures_then
    written = flow.execute("SELECT xmin, ctid FROM sidestream.rollup_1h ORDER BY ctid").fetchall()
    refresh(flow, at)
    assert flow.execute("SELECT xmin, ctid FROM sidestream.rollup_1h ORDER BY ctid").fetchall() == written
    for each in made:
        if not each.withdrawn:
            withdraw(flow, each.number, "Ola", "the end of it", at)
    refresh(flow, at)
    assert seen(flow) == raw
    assert figures(flow) == untouched
    assert flow.execute("SELECT cuts, corrected FROM sidestream.sensor WHERE id = 'flow'").fetchone() == (None, False)


def test_only_the_touched_buckets_change_and_both_figures_stay_readable(flow):
    before = {row[:2]: row for row in figures(flow, "rollup_{}", "known_at", "revision")}
    hour = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # the second 02:00–03:00 of that night
    draft = Draft("flow", hour, hour + timedelta(minutes=30), "adjust", "bent", "Kari", factor=2.0, offset=0.0)
    number, found = make(flow, draft, NOW)
    assert found.readings == 5
    assert {t.what: (t.figures, t.over) for t in found.touched} == {
        "roll-ups of a minute": (5, 5),
        "roll-ups of an hour": (1, 1),
        "roll-ups of a day": (1, 1),
    }
    assert flow.execute("SELECT from_at, to_at FROM sidestream.dirty").fetchall() == [
        (hour, hour + timedelta(minutes=30) - timedelta(microseconds=1))
    ]
    refresh(flow, NOW)
    after = {row[:2]: row for row in figures(flow, "rollup_{}", "known_at", "revision")}
    changed = {key for key in after if after[key] != before[key]}
    long_day = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    assert {key for key in changed if key[0] != "1m"} == {("1h", hour), ("1d", long_day)}
    assert len(changed) == 7
    assert {after[key][-2:] for key in changed} == {(NOW, 2)}
    (old,) = flow.execute(
        "SELECT mean, revision, superseded_at FROM sidestream_v.rollup_1d_as_known(%s) WHERE bucket = %s",
        [NOW - timedelta(seconds=1), long_day],
    ).fetchall()
    assert old == (before["1d", long_day][4], 1, NOW)
    assert number.in_force


def test_what_is_not_yet_published_is_changed_in_place(flow):
    flow.execute("UPDATE sidestream.hub SET settle_s = 900")
    for minutes, value in ((0, 1.0), (5, 2.0)):
        flow.execute("UPDATE sidestream.reading SET value = %s WHERE time = %s", [value, START])
        refresh(flow, NOW + timedelta(minutes=minutes))
    found = flow.execute(
        "SELECT mean, known_at, revision FROM sidestream_v.rollup_1m WHERE bucket = %s", [START]
    ).fetchone()
    assert found == (2.0, NOW, 2)
    assert flow.execute(
        "SELECT count(*) FROM sidestream_v.rollup_1m_history WHERE bucket = %s", [START]
    ).fetchone() == (1,)
    flow.execute("UPDATE sidestream.reading SET value = 3 WHERE time = %s", [START])
    refresh(flow, NOW + timedelta(minutes=15))
    revisions = flow.execute(
        "SELECT mean, revision FROM sidestream_v.rollup_1m_history WHERE bucket = %s ORDER BY revision", [START]
    ).fetchall()
    assert revisions == [(0.0, 1), (2.0, 2)]


def test_a_roll_up_says_whether_it_rests_on_a_correction_now_and_as_known_then(flow):
    day = START.replace(hour=22, minute=0)  # the second of the hub's days, of 25 hours
    made = make(flow, Draft("flow", day, day + timedelta(hours=2), "set", "x", "Kari", value=2.0), NOW)[0]
    refresh(flow, NOW + timedelta(seconds=5))
    ask = "SELECT bucket FROM sidestream_v.rollup_{} WHERE corrected ORDER BY bucket"
    hours = [(day,), (day + timedelta(hours=1),)]
    assert [len(flow.execute(ask.format(level)).fetchall()) for level in LEVELS] == [17, 2, 1]
    assert flow.execute(ask.format("1h")).fetchall() == hours
    assert flow.execute(ask.format("1d")).fetchall() == [(day,)]
    withdraw(flow, made.correction_id, "Ola", "it was right", NOW + timedelta(seconds=10))
    refresh(flow, NOW + timedelta(seconds=15))
    for seconds, found in ((-1, []), (7, hours), (20, [])):
        then = f"1h_as_known('{NOW + timedelta(seconds=seconds)}')"
        assert flow.execute(ask.format(then)).fetchall() == found, seconds
    assert flow.execute(ask.format("1h")).fetchall() == []
    assert flow.execute(ask.format("1h_history")).fetchall() == hours


def test_what_a_correction_changes_is_kept_however_young(flow):
    flow.execute("UPDATE sidestream.hub SET settle_s = 900")
    flow.execute("UPDATE sidestream.reading SET value = 1 WHERE time = %s", [START])
    refresh(flow, NOW)
    draft = Draft("flow", START, START + timedelta(hours=1), "set", "x", "Kari", value=2.0)
    number = make(flow, draft, NOW + timedelta(seconds=5))[0].correction_id
    refresh(flow, NOW + timedelta(seconds=10))
    withdraw(flow, number, "Ola", "it was right", NOW + timedelta(seconds=15))
    refresh(flow, NOW + timedelta(seconds=20))
    for seconds, mean in ((4, 1.0), (10, 2.0), (19, 2.0), (20, 1.0)):
        found = flow.execute(
            "SELECT mean FROM sidestream_v.rollup_1m_as_known(%s) WHERE bucket = %s",
            [NOW + timedelta(seconds=seconds), START],
        ).fetchall()
        assert found == [(mean,)], seconds


def test_a_correction_stays_as_it_was_made(flow):
    number = make(flow, Draft("flow", START, NOW, "void", "frozen", "Kari"), NOW)[0].correction_id
    for statement in (
        "UPDATE sidestream.correction SET reason = 'other'",
        "UPDATE sidestream.correction SET to_at = now()",
        "DELETE FROM sidestream.correction",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="can only be withdrawn"):
            flow.execute(statement)
    withdraw(flow, number, "Ola", "it was right", NOW)
    with pytest.raises(DomainError, match="withdrawn already"):
        withdraw(flow, number, "Ola", "again", NOW)
    assert correction(flow, number).withdrawn_why == "it was right"
    assert [c.correction_id for c in corrections(flow, "flow")] == [number]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sensor": "flwo"}, "did you mean 'flow'"),
        ({"to_at": START - timedelta(hours=1)}, "ends .* before it begins"),
        ({"to_at": NOW + timedelta(days=9)}, "still to come"),
        ({"from_at": START - timedelta(days=2), "to_at": START - timedelta(days=1)}, "nothing to correct"),
        ({"reason": " "}, "--reason"),
        ({"action": "set", "value": float("nan")}, "needs a number"),
        ({"action": "adjust", "factor": 0.0, "offset": 0.0}, "correct void"),
        ({"action": "adjust", "factor": 1.0, "offset": 0.0}, "change nothing"),
        ({"code": "BAG-1"}, "reads no codes"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(flow, changes, says):
    good = {"sensor": "flow", "from_at": START, "to_at": NOW, "action": "void", "reason": "x", "author": "y"}
    with pytest.raises(DomainError, match=says):
        weigh(flow, Draft(**good | changes), NOW)
    assert corrections(flow) == []


def test_latest_shows_the_corrected_value_and_which_correction(flow):
    sensor = "SELECT sensor_id FROM sidestream.sensor WHERE id = 'flow'"
    last_at = START + timedelta(minutes=7 * 342)
    flow.execute(f"INSERT INTO sidestream.latest SELECT ({sensor}), %s, 114, NULL, 0, false, now(), 1", [last_at])
    ask = "SELECT value, raw_value, correction_id, quality FROM sidestream_v.latest WHERE sensor = 'flow'"
    assert flow.execute(ask).fetchone() == (114.0, 114.0, None, 0)
    number = make(flow, Draft("flow", START, NOW, "adjust", "x", "y", factor=0.5, offset=1.0), NOW)[0].correction_id
    assert flow.execute(ask).fetchone() == (58.0, 114.0, number, 0)
    void = make(flow, Draft("flow", last_at, NOW, "void", "x", "y"), NOW)[0].correction_id
    assert flow.execute(ask).fetchone() == (None, 114.0, void, 2)


def test_a_false_read_of_one_code_is_voided_and_its_neighbours_are_not(flow):
    flow.execute(
        "INSERT INTO sidestream.scan SELECT %s, sensor_id, code, NULL, 0, false, 1 FROM sidestream.sensor,"
        " unnest(ARRAY['BAG-1', 'BAG-2']) code WHERE id = 'gate'", [START],
    )  # fmt: skip
    end = START + timedelta(minutes=1)
    number = make(flow, Draft("gate", START, end, "void", "walked past", "Kari", code="BAG-1"), NOW)[0].correction_id
    ask = "SELECT code, quality, correction_id FROM sidestream_v.scan ORDER BY code"
    assert flow.execute(ask).fetchall() == [("BAG-1", 2, number), ("BAG-2", 0, None)]
    with pytest.raises(DomainError, match="can be voided"):
        weigh(flow, Draft("gate", START, end, "set", "x", "y", value=1.0), NOW)
    withdraw(flow, number, "Ola", "it was there", NOW)
    assert [row[1] for row in flow.execute(ask).fetchall()] == [0, 0]


def test_the_viewer_reads_corrections_and_what_was_known(flow):
    make(flow, Draft("flow", START, NOW, "void", "x", "y"), NOW)
    refresh(flow, NOW)
    flow.execute("SET ROLE sidestream_viewer")
    for view in (
        "correction", "manual_entry", "latest", "reading", "rollup_1h_history", "rollup_1h_as_known(now())",
        "rollup_1m_as_known(now())", "rollup_1d_as_known(now())", "twin_value_as_known(now())",
        "agreement_status_as_known(now())",
    ):  # fmt: skip
        flow.execute(f"SELECT count(*) FROM sidestream_v.{view}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        flow.execute("INSERT INTO sidestream.correction DEFAULT VALUES")

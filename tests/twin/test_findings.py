"""What the twin raises: once per occurrence, until it is over; acknowledged and shelved by people, on record for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from twin_lab import Batch, Lab, at, heat_readings, silo_readings, whole_hub

from sidestream_contracts.errors import DomainError
from sidestream_store.findings import actions, read
from sidestream_store.findings.actions import Act
from sidestream_store.notes import About, Asked, NoteDraft, about_named, add_note, notes
from sidestream_store.read.plant import read_plant
from sidestream_twin.explain.kinds import explain
from sidestream_twin.update import update, update_until_clean

pytestmark = pytest.mark.server


def open_findings(lab: Lab, **options) -> dict[str, read.Finding]:
    return {found.finding: found for found in read.findings(lab.connection, **options)}


def test_a_silent_sensor_is_raised_returns_to_normal_and_is_raised_again(lab: Lab):
    lab.bring(Batch((("theirs", 0.0, 20.0),)))
    update(lab.dsn, now_at=at(30))
    assert "sensor_stale/theirs#1" not in open_findings(lab)
    assert update(lab.dsn, now_at=at(90)).findings == 1
    assert update(lab.dsn, now_at=at(95)).findings == 0
    found = open_findings(lab)["sensor_stale/theirs#1"]
    assert (found.state, found.severity, found.since_at) == ("unacknowledged", "warning", at(0))
    assert "2026-11-20 12:00:00Z" in found.sentence
    lab.bring(Batch((("theirs", 100.0, 21.0),)))
    update(lab.dsn, now_at=at(101))
    lab.bring(Batch((("theirs", 145.0, 21.0),)))
    update(lab.dsn, now_at=at(150))
    assert open_findings(lab)["sensor_stale/theirs#1"].returned_at is None, "it may only flicker"
    lab.bring(Batch((("theirs", 175.0, 21.0),)))
    update(lab.dsn, now_at=at(192))
    assert open_findings(lab)["sensor_stale/theirs#1"].state == "returned"
    assert open_findings(lab)["sensor_stale/theirs#1"].returned_at == at(101)
    update(lab.dsn, now_at=at(400))
    assert {name for name in open_findings(lab) if "theirs" in name} == {
        "sensor_stale/theirs#1",
        "sensor_stale/theirs#2",
    }
    actions.acknowledge(lab.connection, "sensor_stale/theirs#1", Act("kari", at(410), "was at lunch"))
    assert "sensor_stale/theirs#1" not in open_findings(lab)
    assert open_findings(lab, everything=True)["sensor_stale/theirs#1"].state == "normal"


def test_flags_agreements_and_what_cannot_be_computed_are_raised(laboratory):
    lab = laboratory(whole_hub())
    lab.bring(Batch(heat_readings(range(60), flow=20.0)), Batch(silo_readings(range(60), 3.0, 1.0)))
    lab.bring(Batch((("silo_mass", 35.0, 9.5), ("silo_mass", 45.0, 9.52))))
    update_until_clean(lab.dsn, now_at=at(70))
    lab.connection.execute(
        "INSERT INTO sidestream.stock_forecast (node, event, issued_at, outcome, limit_kg, basis, q05_at, q50_at, q95_at)"
        " VALUES ('silo', 'run_dry', %s, 'expected', 100, '{}', %s, %s, %s)",
        [at(71), at(3600), at(7200), None],
    )
    update(lab.dsn, now_at=at(72))
    found = open_findings(lab)
    assert "empty at 2026-11-20 14:00:00Z; 90 % between" in found["stock_will_run_dry/silo#1"].sentence
    assert found["stock_overflow/silo#1"].severity == "alarm"
    assert "9000 kg" in found["stock_overflow/silo#1"].sentence
    assert found["stock_overflow/silo#1"].about == "node/silo/stock_mass"
    assert explain(lab.connection, found["stock_overflow/silo#1"].about, at(70)).quantity is not None
    plant = read_plant(lab.dsn)
    assert plant.findings is not None
    assert plant.findings.alarms == 1
    assert plant.findings.a_finding == "stock_overflow/silo#1"


def test_a_breach_is_raised_for_its_period_and_the_same_whoever_computes_it(lab: Lab):
    day = 86_400
    lab.bring(Batch(scans=(("scan_store", -13 * 3600.0 + 5, "BAG-1"), ("scan_yard", -13 * 3600.0 + 10, "BAG-1"))))
    update_until_clean(lab.dsn, now_at=at(day))
    found = open_findings(lab)["agreement_breached/bag-deal@2026-11-20#1"]
    assert found.severity == "alarm"
    assert found.about == "agreement/bag-deal@2026-11-19T23:00:00Z"
    assert found.about in found.remedy
    explain(lab.connection, found.about, at(day))
    once = lab.connection.execute("SELECT * FROM sidestream.finding ORDER BY kind, subject").fetchall()
    update(lab.dsn, now_at=at(day))
    assert lab.connection.execute("SELECT * FROM sidestream.finding ORDER BY kind, subject").fetchall() == once


def test_sensors_of_a_device_that_is_offline_are_not_raised_one_by_one(lab: Lab):
    lab.bring(Batch(heat_readings(range(3))))
    lab.connection.execute(
        "INSERT INTO sidestream.device_status SELECT device_id, 'offline', '', %s, %s, '{}' FROM sidestream.device WHERE id = 'gw'",
        [at(5), at(5)],
    )
    update(lab.dsn, now_at=at(900))
    found = open_findings(lab)
    assert found["device_offline/gw#1"].severity == "alarm"
    assert not [name for name in found if name.startswith("sensor_stale/")]


def test_a_shelved_finding_is_out_of_the_way_until_its_time_is_over_and_all_is_on_record(lab: Lab):
    now = datetime.now(UTC)
    lab.bring(Batch((("theirs", 0.0, 20.0),)))
    update(lab.dsn, now_at=at(400))
    name = "sensor_stale/theirs"
    for bad in (now - timedelta(seconds=1), now + timedelta(days=32)):
        with pytest.raises(DomainError, match="within the next 31 days"):
            actions.shelve(lab.connection, name, bad, Act("kari", now, "meter out for service"))
    with pytest.raises(DomainError, match="--reason"):
        actions.shelve(lab.connection, name, now + timedelta(hours=1), Act("kari", now, " "))
    with pytest.raises(DomainError, match="Did you mean sensor_stale/theirs#1"):
        actions.acknowledge(lab.connection, "sensor_stale/their", Act("kari", now))
    done = actions.shelve(lab.connection, name, now + timedelta(hours=1), Act("kari", now, "meter out for service"))
    assert (done.state, done.shelved_by, done.shelved_why) == ("shelved", "kari", "meter out for service")
    assert lab.one("SELECT count(*) FROM sidestream_v.shelved WHERE kind = 'sensor_stale' AND subject = 'theirs'") == (
        1,
    )
    done = actions.unshelve(lab.connection, name, Act("ola", now))
    assert done.state == "unacknowledged"
    with pytest.raises(DomainError, match="is not shelved"):
        actions.unshelve(lab.connection, name, Act("ola", now))
    long_ago = now - timedelta(days=2)
    done = actions.shelve(lab.connection, name, long_ago + timedelta(hours=1), Act("kari", long_ago, "for a shift"))
    assert done.state == "unacknowledged", "its time is over, so it has come back"
    assert actions.acknowledge(lab.connection, name, Act("ola", now, "ordered a new one")).state == "acknowledged"
    with pytest.raises(DomainError, match="acknowledged already"):
        actions.acknowledge(lab.connection, name, Act("kari", now))
    history = read.actions(lab.connection, done)
    assert [(a.action, a.author) for a in history] == [
        ("shelve", "kari"), ("unshelve", "ola"), ("shelve", "kari"), ("acknowledge", "ola"),
    ]  # fmt: skip
    for change in ("UPDATE sidestream.finding_action SET author = 'x'", "DELETE FROM sidestream.finding_action"):
        with pytest.raises(psycopg.errors.RaiseException, match="stay as they were written"):
            lab.connection.execute(change)


def test_notes_stand_beside_the_numbers_of_their_time(lab: Lab):
    lab.bring(Batch(silo_readings(range(60), 3.0, 1.0)))
    update_until_clean(lab.dsn, now_at=at(70))
    assert about_named(lab.connection, "belt_in") == About("sensor", "belt_in")
    with pytest.raises(DomainError, match="Did you mean stream/in"):
        about_named(lab.connection, "stream/inn")
    about = about_named(lab.connection, "stream/in")
    first = add_note(lab.connection, NoteDraft(about, at(0), at(20), " belt cleaned ", "kari"), at(100))
    second = add_note(lab.connection, NoteDraft(about, at(40), at(40), "restarted", "ola"), at(101))
    add_note(lab.connection, NoteDraft(About("hub", ""), at(0), at(60), "storm", "ola"), at(102))
    assert notes(lab.connection, Asked(about)) == [second, first]
    assert first.text == "belt cleaned"
    assert notes(lab.connection, Asked(about, at(20), at(40))) == []
    assert notes(lab.connection, Asked(about, at(40), at(41))) == [second]
    assert len(notes(lab.connection, Asked())) == 3
    told = explain(lab.connection, "stream/in/mass_flow@2026-11-20T12:00:10Z", at(100))
    assert [(n.said, n.facts["author"]) for n in told.inputs if n.what == "note"] == [("belt cleaned", "kari")]
    with pytest.raises(psycopg.errors.RaiseException):
        lab.connection.execute("DELETE FROM sidestream.note")
    for text, by in (("", "kari"), ("x", " "), ("x" * 4001, "kari")):
        with pytest.raises(DomainError):
            NoteDraft(about, at(0), at(0), text, by)

"""Entries of people and corrections reach the twin: its figures, their origin, its judgements, and what was published."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from hub_files import TEST_HUB
from twin_lab import NOON, Batch, Lab, at, heat_readings, silo_readings, whole_hub

from sidestream_app.commands.correct import void
from sidestream_app.commands.enter import enter
from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_store.corrections.model import Draft
from sidestream_store.corrections.write import make, withdraw
from sidestream_store.export.run import Asked, export
from sidestream_store.export.tables import READINGS
from sidestream_store.read.live import latest
from sidestream_store.read.pool import open_pool
from sidestream_store.read.series import Cursor, page, readings
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server

OFFICE = {"id": "office", "party": "a", "name": "Office", "kind": "manual"}
COUNT = {"id": "silo_count", "device": "office", "name": "Counted", "quantity": "mass", "unit": "t", "role": "stock_mass",
         "node": "silo", "period_s": 604800, "accuracy": {"limit_pct": 5}}  # fmt: skip


@pytest.fixture
def counted(laboratory) -> Lab:
    """The whole hub without a level in the silo: people count it."""
    hub = whole_hub().model_dump(mode="json")
    sensors = [s for s in hub["sensors"] if s["id"] != "silo_mass"] + [COUNT]
    # so that the entries of a test, made long after its noon, are as of a device
    return laboratory(whole_hub(devices=[*TEST_HUB["devices"], OFFICE], sensors=sensors))


def say(lab: Lab, value: str, seconds: float = 5.0, **more: object) -> int:
    return enter("silo_count", value, dsn=lab.dsn, at=at(seconds).isoformat(), by="Kari", **more)


def test_a_count_is_a_figure_of_origin_manual_with_its_own_deviation(counted: Lab):
    counted.bring(Batch(silo_readings(range(61), 3.0, 2.0)))
    assert say(counted, "4000", unit="kg", sd="50", note="dipstick") == 0
    update_until_clean(counted.dsn, now_at=at(70))
    found = counted.values("silo", "stock_mass")
    assert found[0.0] == (pytest.approx(4000.0), "manual")
    assert found[10.0] == (pytest.approx(4010.0), "estimated")
    sds = "SELECT sd_random, sd_systematic FROM sidestream.twin_value WHERE subject = 'silo' AND time = %s"
    assert counted.one(sds, NOON) == (pytest.approx(50.0), 0.0)
    reading = "SELECT value, raw_value, entered_by, note FROM sidestream_v.reading WHERE sensor = 'silo_count'"
    assert counted.one(reading) == (4.0, 4.0, "Kari", "dipstick")
    entry = "SELECT value, sd, unit, given_value, given_unit, author, entered_by <> '' FROM sidestream_v.manual_entry"
    assert counted.one(entry) == (4.0, 0.05, "t", "4000", "kg", "Kari", True)
    assert counted.one("SELECT state FROM sidestream_v.device WHERE device = 'office'") == ("manual",)


def test_the_deviation_that_a_person_gave_is_told_wherever_the_reading_is(counted: Lab, tmp_path):
    say(counted, "4", sd="0.05")
    say(counted, "4.1", seconds=15.0)
    number = counted.one("SELECT sensor_id FROM sidestream.sensor WHERE id = 'silo_count'")[0]

    async def read() -> tuple[list[float | None], float | None]:
        async with open_pool(counted.dsn, "test", size=1) as pool:
            found = await page(pool, readings(number), Cursor(at(0)), at(60), 10)
            (newest,) = await latest(pool, ["silo_count"])
            return [row.entered_sd for row in found.rows], newest.sd

    declared = 4.1 * 0.05 / 3**0.5
    assert asyncio.run(read()) == ([0.05, None], pytest.approx(declared))
    counted.connection.execute("UPDATE sidestream.manual_entry SET sd = 0.02 WHERE value = 4.1")
    assert asyncio.run(read()) == ([0.05, 0.02], 0.02)
    export(counted.dsn, Asked(READINGS, at(0), at(60), ("silo_count",)), tmp_path / "out.parquet", "parquet")
    assert pq.read_table(tmp_path / "out.parquet")["sd"].to_pylist() == [0.05, 0.02]


def test_the_same_entry_twice_is_one_and_another_for_that_instant_is_refused(counted: Lab, capsys):
    say(counted, "4.0")
    say(counted, "4000", unit="kg")
    assert [line.rsplit(": ", 1)[1] for line in capsys.readouterr().out.splitlines()] == ["entered", "already entered"]
    with pytest.raises(DomainError, match=r"Kari entered 4 for 'silo_count'.*correct set silo_count 5 "):
        say(counted, "5")
    assert counted.one("SELECT count(*) FROM sidestream_v.reading WHERE sensor = 'silo_count'") == (1,)
    assert counted.one("SELECT count(*) FROM sidestream_v.manual_entry") == (1,)


def test_a_file_is_entered_whole_or_not_at_all(counted: Lab, tmp_path, capsys):
    tickets = tmp_path / "tickets.csv"
    good = f'sensor,value,unit,at,by,note\nsilo_count,4,t,{at(5).isoformat()},Kari,"ticket 17, wet"\n'
    for line, says in (
        (f"silo_cuont,4,t,{at(6).isoformat()},Kari,", "csv:3: .*did you mean 'silo_count'"),
        (f"silo_count,four,t,{at(6).isoformat()},Kari,", "csv:3: .*'four' is no number"),
        (f"silo_count,4,m3,{at(6).isoformat()},Kari,", "csv:3: .*measures something else"),
        (f"silo_count,4,t,{at(10e7).isoformat()},Kari,", "csv:3: .*past the latest time"),
        (f"silo_count,5,t,{at(5).isoformat()},Kari,", "csv:3: .*in a line above"),
        (f"flow,4,m3/h,{at(6).isoformat()},Kari,", "csv:3: .*read by a machine"),
        ("silo_count,4,t,2026-10-25T02:30,Kari,", "csv:3: .*exists twice in Europe/Oslo"),
    ):
        tickets.write_text(f"{good}{line}\n")
        with pytest.raises((DomainError, ConfigurationError), match=says):
            enter(dsn=counted.dsn, file=tickets)
    assert counted.one("SELECT count(*) FROM sidestream.manual_entry") == (0,)
    tickets.write_text(f"{good}silo_count,4100,kg,{at(15).isoformat()},Ola,\n")
    capsys.readouterr()
    assert enter(dsn=counted.dsn, file=tickets, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["entered"] == 2
    assert enter(dsn=counted.dsn, file=tickets, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["entered"] == 0


def test_a_file_as_excel_saves_it_with_semicolons_and_decimal_commas_is_taken(counted: Lab, tmp_path):
    tickets = tmp_path / "tickets.csv"
    tickets.write_text(
        f"sensor;value;unit;at;by;note;sd\nsilo_count;4,25;t;{at(5).isoformat()};Kari;wet, cold;0,05\n", "utf-8-sig"
    )
    assert enter(dsn=counted.dsn, file=tickets) == 0
    found = counted.one("SELECT value, sd, note FROM sidestream_v.manual_entry")
    assert found == (4.25, 0.05, "wet, cold")
    tickets.write_text(f"sensor;value;unit;at;by\nsilo_count;1.000,5;t;{at(5).isoformat()};Kari\n")
    with pytest.raises(DomainError, match=r"csv:2: .*'1.000.5' is no number"):
        enter(dsn=counted.dsn, file=tickets)


def test_a_wrong_entry_is_voided_and_the_stock_forgets_it(counted: Lab, capsys):
    say(counted, "4")
    update_until_clean(counted.dsn, now_at=at(70))
    assert counted.values("silo", "stock_mass")[0.0][1] == "manual"
    till = at(5).replace(microsecond=1).isoformat()
    void("silo_count", dsn=counted.dsn, from_=at(5).isoformat(), to=till, reason="wrong silo", by="Kari")
    update_until_clean(counted.dsn, now_at=at(70))
    assert counted.values("silo", "stock_mass") == {}
    assert "1 readings" in capsys.readouterr().out


def test_a_correction_of_a_range_sixty_days_ago_changes_figures_and_judgement_there_and_both_stay_readable(lab: Lab):
    days = -60 * 86400.0
    lab.bring(Batch(heat_readings(n + days for n in range(600))), Batch(heat_readings(range(60))))
    then, later = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    update_until_clean(lab.dsn, now_at=then)
    before = lab.dump()
    draft = Draft("flow", at(days + 100), at(days + 200), "adjust", "gain", "Kari", factor=2.0, offset=0.0)
    made, found = make(lab.connection, draft, later)
    assert found.readings == 100
    assert [(t.what, t.figures) for t in found.touched][-2:] == [
        ("heat_flow of heat", 10),
        ("periods of agreement heat-deal", 1),
    ]
    update_until_clean(lab.dsn, now_at=later)
    after = lab.dump()
    changed = {row[3] for row in set(map(str_row, after["twin_value"])) - set(map(str_row, before["twin_value"]))}
    assert {at(days + 90 + 10 * n) for n in range(12)} >= changed >= {at(days + 100 + 10 * n) for n in range(10)}
    judged = "SELECT delivered FROM sidestream_v.agreement_status_as_known(%s) WHERE agreement = 'heat-deal'"
    judged += " AND period_to < now() - interval '30 days'"
    assert lab.one(judged, later)[0] > lab.one(judged, then)[0] * 1.1
    old = "SELECT value, revision FROM sidestream_v.twin_value_as_known(%s) WHERE time = %s AND quantity = 'heat_flow'"
    new = lab.one(old, later, at(days + 150))
    assert (new[0], new[1]) == (pytest.approx(2 * lab.one(old, then, at(days + 150))[0]), 2)
    marked = (
        "SELECT DISTINCT time FROM sidestream_v.twin_value WHERE flags ? 'corrected' AND subject = 'heat' ORDER BY 1"
    )
    assert [row[0] for row in lab.connection.execute(marked)] == [at(days + 100 + 10 * n) for n in range(10)]
    withdraw(lab.connection, made.correction_id, "Ola", "it was right", later)
    update_until_clean(lab.dsn, now_at=later)
    assert lab.dump() == before | {"agreement": lab.dump()["agreement"]}


def str_row(row: tuple) -> tuple:
    """The same row, to be put into a set."""
    return tuple(x if not isinstance(x, dict | list) else json.dumps(x) for x in row)


def test_updating_again_after_all_was_marked_dirty_writes_no_figure(lab: Lab):
    lab.bring(Batch(heat_readings(range(60))), Batch((*silo_readings(range(60), 3.0, 2.0), ("silo_mass", 5.0, 4.0))))
    update_until_clean(lab.dsn, now_at=at(70))
    where = "SELECT array_agg(v.xmin::text || v.ctid::text ORDER BY v.ctid) FROM sidestream.{} v"
    tables = ("twin_value", "rollup_1m", "rollup_1h", "rollup_1d")
    before = [lab.one(where.format(table)) for table in tables]
    lab.connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) SELECT sensor_id, %s, %s FROM sidestream.sensor",
        [NOON, at(60)],
    )
    assert update_until_clean(lab.dsn, now_at=at(70)).steps > 0
    assert [lab.one(where.format(table)) for table in tables] == before

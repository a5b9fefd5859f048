"""Pages while rows arrive, units on request, Parquet, figures as once known, and answers that need not be sent twice."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream_store.export.run import Asked, export
from sidestream_store.export.tables import READINGS
from sidestream_store.read import series
from sidestream_store.read.pool import open_pool

pytestmark = pytest.mark.server
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
FRAMES = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), max_size=6)
"""Frames as the seconds of their readings: many of the same time, also within a frame."""


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FRAMES, st.lists(FRAMES, max_size=6), st.integers(1, 7))
def test_no_row_comes_twice_and_none_that_was_there_is_missed_whatever_arrives_meanwhile(
    small, before, meanwhile, limit
):
    small.sql.execute("TRUNCATE sidestream.reading, sidestream.frame")
    small.sql.execute("SELECT sidestream.ensure_partitions(%s, %s)", [START, START])
    (sensor_id,) = small.sql.execute("SELECT sensor_id FROM sidestream.sensor WHERE id = 'flow'").fetchone()
    numbers = iter(range(10_000))
    told: dict[float, datetime] = {}

    def arrive(frames: list[list[int]]) -> None:
        for seconds in frames:
            frame_id = next(numbers)
            with small.sql.cursor() as cursor:
                rows = [(START + timedelta(seconds=s), sensor_id, float(next(numbers)), 0, frame_id) for s in seconds]
                told.update((row[2], row[0]) for row in rows)
                cursor.executemany("INSERT INTO sidestream.reading VALUES (%s, %s, %s, %s, %s)", rows)

    async def read() -> list[float | None]:
        found: list[float | None] = []
        at: series.Cursor | None = series.Cursor(START)
        arriving = iter(meanwhile)
        async with open_pool(small.dsn, "test", size=1) as pool:
            while at is not None:
                page = await series.page(pool, series.readings(sensor_id), at, START + timedelta(hours=1), limit)
                found += [row.value for row in page.rows]
                assert len(page.rows) <= limit
                arrive(next(arriving, []))
                at = page.after
        return found

    arrive(before)
    there = set(told)
    found = asyncio.run(read())
    assert len(found) == len(set(found))
    assert there <= set(found)
    assert [told[value] for value in found] == sorted(told[value] for value in found)


def test_numbers_come_in_the_unit_that_is_asked_for_and_their_spread_with_them(small, start_web):
    small.reading("flow", 72.0, ago_s=60)
    small.reading("tin", 85.3, ago_s=60)
    small.steps("stream", "heat", "heat_flow", 5000.0, 50.0, hours=2)
    web = start_web(small.dsn)

    def one(sensor: str, unit: str) -> dict:
        answer = web.get("series", sensor=sensor, bucket="raw", unit=unit).json()
        assert answer["unit"] == unit
        return answer["points"][0]

    own = web.get("series", sensor="flow", bucket="raw").json()["points"][0]
    assert one("flow", "L/s")["value"] == pytest.approx(20.0)
    assert one("flow", "L/s")["sd"] == pytest.approx(own["sd"] / 3.6)
    assert one("flow", "m3/h") == own
    assert one("tin", "K")["value"] == pytest.approx(358.45)
    assert one("tin", "[degF]")["value"] == pytest.approx(185.54)
    asked = {"kind": "stream", "subject": "heat", "quantity": "heat_flow"}
    watts, kilowatts = (web.get("twin/series", **asked, unit=unit).json() for unit in ("W", "kW"))
    assert kilowatts["unit"] == "kW"
    for w, kw in zip(watts["points"], kilowatts["points"], strict=True):
        for name in ("value", "sd", "sd_random", "sd_systematic"):
            assert kw[name] * 1000 == pytest.approx(w[name])
    assert "value [kW]" in web.get("twin/series", **asked, unit="kW", format="csv").text.splitlines()[0]


def read_parquet(answer: httpx.Response) -> pa.Table:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"].endswith('_synthetic.parquet"')
    return pq.read_table(io.BytesIO(answer.content))


def test_a_parquet_answer_is_what_the_command_writes(small, start_web, tmp_path):
    for number in range(50):
        small.reading("flow", None if number % 7 == 0 else number / 3, ago_s=3000 - number * 50, quality=number % 3)
    web = start_web(small.dsn)
    page = web.get("series", sensor="flow", bucket="raw").json()
    start, stop = page["from"], page["to"]
    asked = {"sensor": "flow", "bucket": "raw", "from": start, "to": stop}
    table = read_parquet(web.get("series", **asked, format="parquet"))
    times = (datetime.fromisoformat(start), datetime.fromisoformat(stop))
    export(small.dsn, Asked(READINGS, *times, ("flow",)), tmp_path / "r.parquet", "parquet")
    written = pq.read_table(tmp_path / "r.parquet")
    assert table.schema.equals(written.schema, check_metadata=False)
    exact = [name for name in table.column_names if name != "sd"]
    assert table.select(exact).to_pylist() == written.select(exact).to_pylist()
    assert table["sd"].to_pylist() == [pytest.approx(sd) for sd in written["sd"].to_pylist()]
    assert table.num_rows == 50
    assert table.schema.field("value").metadata[b"unit"] == b"m3/h"
    assert json.loads(table.schema.metadata[b"sidestream"])["synthetic"] is True
    by_accept = httpx.get(
        f"{web.url}/api/v1/series", params=asked, headers={"Accept": "application/vnd.apache.parquet"}
    )
    assert read_parquet(by_accept).equals(table)


def test_rollups_scans_and_figures_come_as_parquet_too_also_when_there_are_none(small, start_web):
    small.reading("flow", 7.0, ago_s=60)
    small.rollup("flow")
    small.scan("gate", "=1", ago_s=10)
    small.state("stream", "heat", "heat_flow", 5.0)
    web = start_web(small.dsn)
    minutes = read_parquet(web.get("series", sensor="flow", unit="L/s", format="parquet"))
    assert minutes["mean"].to_pylist() == [pytest.approx(7 / 3.6)]
    assert minutes.schema.field("mean").metadata[b"unit"] == b"L/s"
    assert read_parquet(web.get("series", sensor="gate", format="parquet"))["code"].to_pylist() == ["=1"]
    figures = {"kind": "stream", "subject": "heat", "quantity": "heat_flow", "format": "parquet"}
    assert read_parquet(web.get("twin/series", **figures)).num_rows == 0
    small.steps("stream", "heat", "heat_flow", 5000.0, 50.0, hours=2)
    table = read_parquet(web.get("twin/series", **figures, unit="kW"))
    assert table["sd"].to_pylist()[0] == pytest.approx(0.05)


def test_figures_can_be_asked_as_they_were_known_then(small, start_web):
    small.reading("flow", 7.0, ago_s=60)
    small.rollup("flow")
    web = start_web(small.dsn)
    past, soon = "2020-01-01T00:00:00Z", (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert web.get("series", sensor="flow", bucket="1m", as_known_on=past).json()["points"] == []
    answer = web.get("series", sensor="flow", bucket="1m", as_known_on=soon).json()
    assert [point["mean"] for point in answer["points"]] == [7.0]
    assert answer["as_known_on"][:10] == soon[:10]
    asked = {"kind": "stream", "subject": "heat", "quantity": "heat_flow", "as_known_on": past}
    assert web.get("twin/series", **asked).json()["points"] == []


def test_the_span_chooses_the_resolution_where_none_is_asked_for(small, start_web):
    web = start_web(small.dsn)
    for hours, expected in ((0.5, "raw"), (24, "1m"), (24 * 60, "1h"), (24 * 400, "1d")):
        start = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        stop = datetime.now(UTC).isoformat()
        assert web.get("series", sensor="flow", **{"from": start, "to": stop}).json()["bucket"] == expected
    assert web.get("series", sensor="gate").json()["bucket"] == "raw"


def test_the_next_page_is_linked_and_scans_come_in_pages_too(small, start_web):
    for number in range(25):
        small.scan("gate", f"BAG-{number:02}", ago_s=100 - number)
    web = start_web(small.dsn)
    codes: list[str] = []
    address = f"{web.url}/api/v1/scans?limit=10&node=silo"
    answer = httpx.get(address)
    while True:
        codes += [row["code"] for row in answer.json()["scans"]]
        if "next" not in answer.links:
            break
        answer = httpx.get(f"{web.url}/api/v1/scans{answer.links['next']['url']}")
    assert codes == [f"BAG-{number:02}" for number in range(25)]
    assert web.get("scans", code="BAG-07").json()["scans"][0]["sensor"] == "gate"


def test_an_answer_that_the_asker_has_is_not_sent_again(small, start_web):
    web = start_web(small.dsn)
    first = web.get("hub")
    again = httpx.get(f"{web.url}/api/v1/hub", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"]
    with psycopg.connect(small.dsn, autocommit=True) as sql:
        sql.execute("UPDATE sidestream.hub SET name = 'Another'")
    changed = httpx.get(f"{web.url}/api/v1/hub", headers={"If-None-Match": first.headers["etag"]})
    assert changed.json()["hub"]["name"] == "Another"

"""The read API over a real database: right numbers with unit, time and origin; refusals that help."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

import httpx
import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.server

ADDRESSES = ("hub", "devices", "latest", "twin", "exchanges", "stocks", "stocks/forecasts", "agreements", "totals", "lots", "places",
             "scans/last", "quarantine", "health")  # fmt: skip


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def refusal(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    problem = answer.json()["error"]
    assert problem["message"].endswith((".", "?")), problem
    return problem


def test_every_address_answers_for_a_hub_without_any_reading(small, start_web):
    web = start_web(small.dsn)
    for address in ADDRESSES:
        assert web.get(address).status_code == 200, address
    latest = web.get("latest").json()
    assert {row["mark"] for row in latest} == {"none"}
    assert {row["value"] for row in latest} == {None}
    assert web.get("stocks").json()[0]["mass_kg"] is None


def test_the_hub_says_that_its_figures_are_made_up_and_which_stage_each_stream_is_in(kvinesdal, start_web):
    hub = start_web(kvinesdal.dsn).get("hub").json()
    assert hub["hub"]["synthetic"] is True
    stages = {stream["id"]: stream["state"] for stream in hub["streams"]}
    assert stages["greenhouse-heat"] == "idea"
    assert stages["fish-heat"] == "live"


def test_a_planned_exchange_has_no_number_even_if_the_twin_computed_one(kvinesdal, start_web):
    kvinesdal.state("stream", "greenhouse-heat", "heat_flow", 5e5, 1e4)
    rows = start_web(kvinesdal.dsn).get("exchanges").json()
    planned = [row for row in rows if row["stream"] == "greenhouse-heat"]
    assert [row["value"] for row in planned] == [None]
    assert next(row for row in rows if row["stream"] == "fish-heat")["unit"] == "W"


def test_the_newest_reading_has_time_unit_and_the_spread_of_its_meter(small, start_web):
    small.reading("flow", 100.0)
    small.reading("theirs", 8.0)
    web = start_web(small.dsn)
    (flow,) = web.get("latest", sensor="flow").json()
    assert (flow["value"], flow["unit"], flow["mark"]) == (100.0, "m3/h", "good")
    assert flow["time"].endswith("Z")
    assert flow["sd"] == pytest.approx(((2 / 3**0.5) ** 2 + 0.1**2) ** 0.5)
    assert web.get("latest", sensor="theirs").json()[0]["sd"] is None, "no declared accuracy is not accuracy zero"


def test_pages_of_a_series_give_every_row_once_even_with_equal_times(small, start_web):
    small.sql.execute("SELECT sidestream.ensure_partitions(now() - interval '1 day', now())")
    small.sql.execute(
        "INSERT INTO sidestream.reading SELECT date_trunc('second', now()) - interval '10 min' + (n / 7) * interval '1 s',"
        " (SELECT sensor_id FROM sidestream.sensor WHERE id = 'flow'), n, 0, n FROM generate_series(0, 199) n"
    )
    web = start_web(small.dsn)
    fixed = {"sensor": "flow", "bucket": "raw", "to": web.get("series", sensor="flow", bucket="raw").json()["to"]}
    seen, after = [], None
    while True:
        page = web.get("series", limit=9, **fixed, **({"after": after} if after else {})).json()
        seen += [point["value"] for point in page["points"]]
        if (after := page["next"]) is None:
            break
    assert seen == list(range(200))
    whole = rows_of(web.get("series.csv", **fixed))
    assert [float(row["value [m3/h]"]) for row in whole] == list(range(200))


def test_csv_says_unit_zone_quality_origin_spread_and_that_it_is_synthetic(small, start_web):
    small.reading("flow", 12.5, ago_s=90)
    small.reading("flow", None, ago_s=60, quality=2)
    small.rollup("flow")
    web = start_web(small.dsn)
    answer = web.get("series.csv", sensor="flow", bucket="raw")
    assert "_synthetic.csv" in answer.headers["content-disposition"]
    first, second = rows_of(answer)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time_utc"])
    assert (first["value [m3/h]"], first["quality"], first["origin"], first["synthetic"]) == (
        "12.5",
        "good",
        "measured",
        "yes",
    )
    assert float(first["sd [m3/h]"]) > 0
    assert (second["value [m3/h]"], second["sd [m3/h]"], second["quality"]) == ("", "", "bad")
    minutes = rows_of(web.get("series.csv", sensor="flow", bucket="1m"))
    assert sum(int(row["readings"]) for row in minutes) == 1
    assert sum(int(row["readings_not_used"]) for row in minutes) == 1


def test_twin_series_come_as_pages_and_as_csv(kvinesdal, start_web):
    web = start_web(kvinesdal.dsn)
    asked = {"kind": "node", "subject": "slag-silo", "quantity": "stock_mass"}
    page = web.get("twin/series", limit=50, **asked).json()
    assert (page["unit"], len(page["points"])) == ("kg", 50)
    rows = rows_of(web.get("twin.csv", **asked))
    assert len(rows) in range(142, 146)
    assert rows[0]["origin"] == "measured"
    assert float(rows[0]["sd [kg]"]) == pytest.approx(140)


def test_every_quantity_of_the_twin_has_the_same_unit_now_and_in_its_history(small, start_web):
    for quantity in (
        "heat_flow",
        "register_heat_flow",
        "mass_flow_receiver",
        "register_power_receiver",
        "stock_mass",
        "lots_count",
    ):
        small.state("node", "silo", quantity, 1.0)
    web = start_web(small.dsn)
    rows = web.get("twin").json()
    assert len(rows) == 6
    for row in rows:
        asked = {"kind": "node", "subject": "silo", "quantity": row["quantity"]}
        assert web.get("twin/series", **asked).json()["unit"] == row["unit"]


def test_a_days_heat_is_the_sum_of_its_steps_with_a_systematic_part_that_does_not_average_out(kvinesdal, start_web):
    web = start_web(kvinesdal.dsn)
    (total,) = [row for row in web.get("totals").json() if row["stream"] == "boiler-heat"]
    kvinesdal.sql.execute("SET timezone = 'Europe/Oslo'")
    steps, expected = kvinesdal.sql.execute(
        "SELECT count(*), sum(value * 600) FROM sidestream.twin_value WHERE subject = 'boiler-heat' AND time >= current_date"
    ).fetchone()
    if not steps:
        pytest.skip("just after midnight there is no step yet")
    assert total["value"] == pytest.approx(expected)
    assert total["sd"] >= 0.8 * 8.4e6 * 0.018 * 600 * steps


def test_a_lot_is_traced_and_an_unknown_one_gets_a_sentence(kvinesdal, start_web):
    web = start_web(kvinesdal.dsn)
    trace = web.get("lots/SS-BAG-0002").json()
    assert trace["lot"]["place"] == "yard"
    assert [stay["place"] for stay in trace["stays"]] == ["bag-store", "yard"]
    assert {row["code"] for row in web.get("lots", place="gate").json()} == {
        "SS-BAG-0001",
        "SS-BAG-0005",
        "SS-BAG-0009",
        "SS-BAG-0013",
    }
    problem = refusal(web.get("lots/SS-BAG-0002X"), 404)
    assert problem["nearest"] == "SS-BAG-0002"
    assert web.get("scans/last").json()[0]["node_name"] == "Gate and lorry"


def test_a_code_that_a_spreadsheet_would_run_is_disarmed(small, start_web):
    small.scan("gate", '=HYPERLINK("http://x")')
    (row,) = rows_of(start_web(small.dsn).get("series.csv", sensor="gate", bucket="raw"))
    assert row["code"] == '\'=HYPERLINK("http://x")'


WRONG_QUESTIONS = (
    # address, status, the parameter it is about, the nearest right one
    ("series?sensor=flw", 404, "sensor", "flow"),
    ("latest?sensor=tinn", 404, "sensor", "tin"),
    ("series?sensor=flow&bucket=1min", 422, "bucket", "1m"),
    ("series?sensr=flow", 422, "sensr", "sensor"),
    ("series?sensor=flow&from=2026-01-01T00:00:00", 422, "from", None),
    ("series?sensor=flow&from=yesterday", 422, "from", None),
    ("series?sensor=flow&from=2026-01-02T00:00Z&to=2026-01-01T00:00Z", 422, "from", None),
    ("series?sensor=flow&after=nonsense", 422, "after", None),
    ("series?sensor=flow&limit=0", 422, "limit", None),
    ("series?sensor=gate&bucket=1h", 422, "bucket", None),
    ("series", 422, "sensor", None),
    ("twin.csv?kind=node&subject=sillo&quantity=stock_mass", 404, "subject", "silo"),
    ("twin.csv?kind=node&subject=silo&quantity=stock_mas", 404, "quantity", "stock_mass"),
    ("twin?kind=nod", 422, "kind", "node"),
    ("lots?place=silos", 404, "place", "silo"),
    ("lots/%00", 422, "code", None),
    ("lots/a%00b", 422, "code", None),
    ("lots?after=%00", 422, "after", None),
    ("lots?place=%00", 422, "place", None),
    ("series?sensor=%00", 422, "sensor", None),
    ("lots/%ED%A0%80", 404, "code", None),
    (
        "series?sensor=flow&bucket=raw&from=2026-01-01T00:00Z&to=2026-01-02T00:00Z&after=2026-01-01T00:00:00Z~"
        + "9" * 30,
        422,
        "after",
        None,
    ),
    (f"series?sensor=flow&after={datetime.now(UTC).isoformat().replace('+', '%2B')}~{2**63}~0", 422, "after", None),
    ("series?sensor=flow&unit=kW", 422, "unit", None),
    ("series?sensor=flow&unit=m3/hour", 422, "unit", None),
    ("series?sensor=flow&unit=((10*99)99)99", 422, "unit", None),
    ("series?sensor=flow&unit=10*999999999", 422, "unit", None),
    ("series?sensor=gate&unit=1", 422, "unit", None),
    ("series?sensor=flow&bucket=raw&as_known_on=2026-01-01T00:00Z", 422, "as_known_on", None),
    ("series?sensor=flow&as_known_on=2026-01-01", 422, "as_known_on", None),
    ("series?sensor=flow&format=xlsx", 422, "format", None),
    ("twin/series?kind=stream&subject=heat&quantity=heat_flow&unit=kg", 422, "unit", None),
    ("scans?node=sillo", 404, "node", "silo"),
    ("series?sensor=flow&from=0001-01-01T00:00:00%2B14:00", 422, "from", None),
    ("nothing", 404, None, None),
)


def test_a_wrong_question_is_refused_with_what_is_allowed_and_the_nearest_id(small, start_web):
    web = start_web(small.dsn)
    for path, status, parameter, nearest in WRONG_QUESTIONS:
        problem = refusal(httpx.get(f"{web.url}/api/v1/{path}"), status)
        assert (problem["parameter"], problem["nearest"]) == (parameter, nearest), path


def test_a_fault_of_the_server_is_json_without_a_traceback_and_is_logged(small, start_web, monkeypatch):
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    web = start_web(small.dsn)
    monkeypatch.setattr("sidestream_store.read.lots.places", broken)
    with capture_logs() as logs:
        answer = web.get("places")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert refusal(answer, 500)["code"] == "server_fault"
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert [(line["event"], line["path"], repr(line["exc_info"])) for line in logs if line["log_level"] == "error"] == [
        ("web.failed", "/api/v1/places", "ZeroDivisionError('a secret')")
    ]


def test_raw_readings_say_which_of_them_may_be_trusted(small, start_web):
    for ago_s, value, quality in (
        (50, 12.0, 0),
        (40, 501.0, 0),
        (30, -0.1, 1),
        (20, 12.0, 1),
        (10, 501.0, 2),
        (5, None, 0),
    ):
        small.reading("flow", value, ago_s=ago_s, quality=quality)
    small.scan("gate", "BAG-1", ago_s=10)
    web = start_web(small.dsn)
    expected = ["good", "out_of_range", "out_of_range", "uncertain", "bad", "bad"]
    assert [p["mark"] for p in web.get("series", sensor="flow", bucket="raw").json()["points"]] == expected
    assert [row["mark"] for row in rows_of(web.get("series.csv", sensor="flow", bucket="raw"))] == expected
    assert [row["mark"] for row in rows_of(web.get("series.csv", sensor="gate", bucket="raw"))] == ["good"]


def test_a_register_is_never_out_of_range(small, start_web):
    small.sql.execute("UPDATE sidestream.sensor SET quantity = 'energy' WHERE id = 'flow'")
    small.reading("flow", 501.0, ago_s=10)
    (point,) = start_web(small.dsn).get("series", sensor="flow", bucket="raw").json()["points"]
    assert point["mark"] == "good"


def test_a_plus_in_an_address_is_understood_as_part_of_the_zone(small, start_web):
    web = start_web(small.dsn)
    answer = httpx.get(
        f"{web.url}/api/v1/series?sensor=flow&from=2026-01-01T00:00:00+01:00&to=2026-01-02T00:00:00%2B01:00"
    )
    assert answer.json()["from"] == "2025-12-31T23:00:00Z"


def test_only_reading_is_possible(small, start_web):
    web = start_web(small.dsn)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert refusal(httpx.request(method, f"{web.url}/api/v1/latest"), 405)["code"] == "read_only"


def test_health_says_what_is_missing(database, start_web):
    web = start_web(database)
    answer = web.get("health")
    assert answer.status_code == 503
    assert "hub apply" in answer.json()["checks"][1]["detail"]
    assert refusal(web.get("hub"), 503)["code"] == "no_hub"


def test_a_database_that_is_away_is_503_with_words(start_web):
    web = start_web("host=127.0.0.1 port=9 user=x dbname=x connect_timeout=1")
    assert web.get("health").json()["status"] == "down"
    assert refusal(web.get("latest"), 503)["code"] == "unavailable"


def test_the_description_names_every_address_and_unit_and_loads_nothing_from_elsewhere(small, start_web):
    web = start_web(small.dsn)
    description = httpx.get(f"{web.url}/openapi.json").json()
    assert all(f"/api/v1/{address}" in description["paths"] for address in ADDRESSES)
    written = [method for methods in description["paths"].values() for name, method in methods.items() if name != "get"]
    assert all(method["tags"] == ["operators"] and method["security"] for method in written)
    for path, methods in description["paths"].items():
        for method in methods.values():
            assert method["summary"], path
            assert method["description"], path
            assert all(parameter.get("description") for parameter in method.get("parameters", [])), path
    for page in ("/", "/docs"):
        answer = httpx.get(web.url + page)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert "//" not in re.sub(r"<!doctype[^>]*>", "", answer.text)


def test_the_page_speaks_the_readers_language(small, start_web):
    web = start_web(small.dsn)
    for accept, query, expected in (
        ("nn,en;q=0.5", "", "nb"),
        ("en-GB,nb;q=0.9", "", "en"),
        ("de", "", "en"),
        ("nb", "?lang=en", "en"),
    ):
        text = httpx.get(f"{web.url}/{query}", headers={"Accept-Language": accept}).text
        assert f'<html lang="{expected}">' in text

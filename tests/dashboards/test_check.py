"""`dashboards check` on a real, filled PostgreSQL: all panels pass, and each seeded mistake is found where it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest

from sidestream_contracts.errors import ConfigurationError
from sidestream_dashboards.check import check
from sidestream_dashboards.generate import generate
from sidestream_store.read.panels import PanelSqlError, open_panel_reader

pytestmark = pytest.mark.server


def test_every_panel_and_alert_works_on_a_filled_hub(filled):
    report = check(filled)
    assert [str(problem) for problem in report.failed] == []
    assert report.empty == []
    assert report.panels >= 35
    assert report.alerts == 6
    assert report.profiles == ["plain"]
    assert report.slowest_s < 2
    assert json.loads(json.dumps(report.as_json()))["failed"] == []


def test_a_hub_without_data_shows_empty_panels_but_no_errors(applied):
    assert [str(problem) for problem in check(applied, filled=False).failed] == []


def test_a_hub_without_data_fails_where_there_must_be_some(applied):
    failed = [str(problem) for problem in check(applied).failed]
    assert any("Mass in stock" in problem and "nothing to show" in problem for problem in failed)


def test_a_database_that_is_no_hub_is_refused_with_the_remedy(postgres):
    with pytest.raises(ConfigurationError, match="sidestream db migrate"):
        check(postgres.dsn("postgres"))


def test_a_column_renamed_in_the_database_is_found(filled):
    with psycopg.connect(filled) as connection:
        connection.execute("ALTER VIEW sidestream_v.stock RENAME COLUMN mass_kg TO mass")
    failed = [str(problem) for problem in check(filled).failed]
    assert any("Stocks now" in problem and "mass_kg" in problem for problem in failed)
    assert any("rule sidestream-stock-near-full" in problem for problem in failed)


STOCKS = "operation/sidestream-stocks.json"
OVERVIEW = "operation/sidestream-overview.json"
QUALITY = "data/sidestream-quality.json"


def _sql(old: str, new: str) -> Callable[[dict], None]:
    def change(panel: dict) -> None:
        before = panel["targets"][0]["rawSql"]
        panel["targets"][0]["rawSql"] = before.replace(old, new)
        assert panel["targets"][0]["rawSql"] != before

    return change


@pytest.mark.parametrize(
    ("file", "title", "change", "said"),
    [
        (STOCKS, "Stocks now", _sql("AS mass_t", "AS mass"), "names the column 'mass_t'"),
        (STOCKS, "Stocks now", _sql("AS owner", "AS owner, 7 AS seven"), "'seven' has no heading"),
        (STOCKS, "Mass in stock", _sql("g.bucket AS time", "g.bucket AS at"), "needs a column 'time'"),
        (STOCKS, "Mass in stock", _sql("ORDER BY g.bucket", "ORDER BY g.bucket DESC"), "not ascending"),
        (STOCKS, "Mass in stock", _sql("'stock_mass'", "'stock_mess'"), "nothing to show"),
        (OVERVIEW, "Heat of live exchanges", _sql("n.name AS metric", "n.name AS name"), "column 'metric'"),
        (OVERVIEW, "Live", _sql("count(*)", "count(*)::text"), "needs one number"),
        (OVERVIEW, "Live", _sql("sidestream_v.stream", "sidestream.stream"), "permission denied"),
        (QUALITY, "Sensors by trust", _sql("count(*) AS sensors", "'a' AS sensors"), "and then one number"),
        (QUALITY, "Readings per minute", _sql("$__timeFilter", "$__timeFiltre"), "Grafana does not know"),
    ],
)
def test_a_seeded_mistake_is_found(filled, file, title, change, said):
    made = generate()
    board = json.loads(made[file])
    change(next(panel for panel in board["panels"] if panel["title"] == title))
    failed = check(filled, files=made | {file: json.dumps(board)}).failed
    assert any(f"({title})" in problem.where and said in problem.what for problem in failed), failed
    assert {problem.where for problem in failed} == {next(p.where for p in failed if f"({title})" in p.where)}


def test_a_label_that_an_alerts_text_lacks_is_found(filled):
    made = generate()
    changed = made["alerting/sidestream.json"].replace(".Labels.sensor ", ".Labels.meter ")
    failed = check(filled, files=made | {"alerting/sidestream.json": changed}).failed
    assert ["'meter'" in problem.what for problem in failed] == [True]


def test_alerts_tell_the_subjects_in_trouble_from_the_others(filled):
    rules = json.loads(generate()["alerting/sidestream.json"])["groups"][0]["rules"]
    firing = {}
    with open_panel_reader(filled) as reader:
        for rule in rules:
            above = rule["data"][1]["model"]["conditions"][0]["evaluator"]["params"][0]
            answer = reader.run(rule["data"][0]["model"]["rawSql"])
            firing[rule["uid"]] = {row[0] for row in answer.rows if row[-1] > above}
    assert "slag-arisings-belt" in firing["sidestream-sensor-stale"]
    assert firing["sidestream-device-offline"] == set()
    assert firing["sidestream-quarantine-growing"] == {"gw-smelter"}
    assert firing["sidestream-agreement-off-track"] == {"heat-to-fishfarm"}
    assert firing["sidestream-stock-near-full"] == firing["sidestream-stock-near-empty"] == set()


def test_a_planned_exchange_shows_no_figure_whatever_a_meter_says(filled):
    with psycopg.connect(filled) as connection:
        connection.execute(
            "INSERT INTO sidestream.twin_latest SELECT subject_kind, 'greenhouse-heat', quantity, time, step_s, value,"
            " sd_random, sd_systematic, origin, completeness, inputs, flags, computed_at"
            " FROM sidestream.twin_latest WHERE subject = 'fish-heat' AND quantity = 'heat_flow'"
        )
    board = json.loads(generate()[OVERVIEW])
    sql = next(panel for panel in board["panels"] if panel["title"] == "Exchanges")["targets"][0]["rawSql"]
    with open_panel_reader(filled) as reader:
        answer = reader.run(sql)
    names = [column.name for column in answer.columns]
    row = next(dict(zip(names, row, strict=True)) for row in answer.rows if row[0] == "Heat to a greenhouse")
    assert (row["status"], row["lifecycle"]) == ("planned", "idea")
    assert [row[name] for name in ("heat_kw", "origin", "figure_at", "completeness_pct")] == [None] * 4


def test_the_panel_reader_can_change_nothing_and_ends_slow_queries(filled):
    with open_panel_reader(filled, timeout_s=0.2) as reader:
        for sql in ("DELETE FROM sidestream.lot", "CREATE TABLE sidestream_v.x (a int)", "SELECT FROM sidestream.lot"):
            with pytest.raises(PanelSqlError):
                reader.run(sql)
        with pytest.raises(PanelSqlError, match="time limit"):
            reader.run("SELECT pg_sleep(5)")
        assert reader.run("SELECT 1 AS one").rows == ((1,),)

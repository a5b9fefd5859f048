"""The committed JSON is what the code generates, and nothing is wrong in it that shows without a database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sidestream_dashboards.generate import drift, generate, write
from sidestream_dashboards.loaded import load
from sidestream_dashboards.source import DATASOURCE_TYPE, DATASOURCE_UID, FOLDERS
from sidestream_dashboards.static import static_problems

ROOT = Path(__file__).parents[2] / "dashboards"
OVERVIEW = "operation/sidestream-overview.json"


def test_the_committed_files_are_what_the_code_generates():
    assert drift(ROOT / "generated") == []


def test_generating_twice_gives_the_same_bytes():
    assert generate() == generate()


def test_drift_names_missing_changed_and_left_over_files_and_write_mends_them(tmp_path):
    assert write(tmp_path) == sorted(generate())
    (tmp_path / OVERVIEW).write_text("{}")
    (tmp_path / "operation" / "old.json").write_text("{}")
    (tmp_path / "alerting" / "sidestream.json").unlink()
    wrong = ["alerting/sidestream.json", "operation/old.json", OVERVIEW]
    assert drift(tmp_path) == wrong
    assert write(tmp_path) == wrong
    assert drift(tmp_path) == []
    assert {str(f.relative_to(tmp_path)): f.read_text() for f in tmp_path.rglob("*.json")} == generate()


def test_nothing_is_wrong_that_shows_without_a_database():
    assert [str(problem) for problem in static_problems(load(generate()))] == []


def _overlap(board: dict) -> None:
    board["panels"][2]["gridPos"]["x"] -= 1


def _same_id(board: dict) -> None:
    board["panels"][1]["id"] = board["panels"][0]["id"]


def _same_ref(board: dict) -> None:
    board["panels"][0]["targets"] *= 2


def _old_schema(board: dict) -> None:
    board["schemaVersion"] = 12


def _old_key(board: dict) -> None:
    board["rows"] = []


def _null(board: dict) -> None:
    board["panels"][0]["fieldConfig"]["defaults"]["decimals"] = None


def _unknown_variable(board: dict) -> None:
    board["panels"][0]["targets"][0]["rawSql"] += " WHERE name = $nowhere"


def _other_source(board: dict) -> None:
    board["panels"][0]["datasource"] = {"type": "postgres", "uid": "sidestream"}


def _no_description(board: dict) -> None:
    board["panels"][0]["description"] = " "


def _no_unit(board: dict) -> None:
    del board["panels"][0]["fieldConfig"]["defaults"]["unit"]


def _odd_unit(board: dict) -> None:
    board["panels"][0]["fieldConfig"]["defaults"]["unit"] = "kilowatts"


def _table_read(board: dict) -> None:
    board["panels"][0]["targets"][0]["rawSql"] = "SELECT synthetic, 'sidestream_v.hub' FROM sidestream.hub"


def _too_wide(board: dict) -> None:
    board["panels"][0]["gridPos"]["w"] = 25


def _no_banner(board: dict) -> None:
    board["panels"][0]["targets"][0]["rawSql"] = "SELECT name FROM sidestream_v.hub"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_overlap, "panels 2 and 3 overlap"),
        (_same_id, "two panels have the id 1"),
        (_same_ref, "two queries have the refId A"),
        (_old_schema, "schemaVersion is 12"),
        (_old_key, "the key 'rows'"),
        (_null, "there is a null at /panels/0/fieldConfig/defaults/decimals"),
        (_unknown_variable, "the variable $nowhere"),
        (_other_source, "not sidestream"),
        (_no_description, "no description"),
        (_no_unit, "no unit"),
        (_odd_unit, "'kilowatts' is not one of those in use"),
        (_table_read, "reads 'sidestream.hub'"),
        (_too_wide, "beyond column 24"),
        (_no_banner, "synthetic"),
    ],
)
def test_a_mistake_in_the_json_is_found(change: Callable[[dict], None], said: str):
    made = generate()
    board = json.loads(made[OVERVIEW])
    change(board)
    found = [problem for problem in static_problems(load(made | {OVERVIEW: json.dumps(board)})) if said in problem.what]
    assert found


def test_a_dollar_in_the_alert_rules_is_found():
    made = generate()
    name = "alerting/sidestream.json"
    changed = made[name].replace("{{ .Labels.sensor }}", "{{ $labels.sensor }}")
    assert any("environment variable" in problem.what for problem in static_problems(load(made | {name: changed})))


def test_no_panel_is_without_a_word_on_what_its_number_is():
    """Each description says what, and where from or how sure."""
    words = (
        "twin",
        "meter",
        "count",
        "measured",
        "hub.yaml",
        "hub's",
        "database",
        "readers",
        "gateway",
        "came",
        "uncertainty",
    )
    for board in load(generate()).dashboards:
        for panel in board.panels():
            assert any(word in panel.json["description"] for word in words), panel.where


def test_the_provisioned_source_and_folders_are_those_of_the_dashboards():
    yaml = YAML(typ="safe")
    source = yaml.load(ROOT / "provisioning" / "datasources" / "sidestream.yaml")["datasources"][0]
    assert (source["type"], source["uid"]) == (DATASOURCE_TYPE, DATASOURCE_UID)
    assert source["secureJsonData"] == {"password": "${SIDESTREAM_VIEWER_PASSWORD}"}
    providers = yaml.load(ROOT / "provisioning" / "dashboards" / "sidestream.yaml")["providers"]
    assert {Path(item["options"]["path"]).name: item["folder"] for item in providers} == FOLDERS

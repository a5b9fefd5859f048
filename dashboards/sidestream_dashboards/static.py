"""What can be wrong in a dashboard's JSON without asking a database: each rule is a function that yields problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from sidestream_dashboards.clean import DASHBOARD_KEYS, PANEL_KEYS, TARGET_KEYS
from sidestream_dashboards.loaded import Json, Loaded, LoadedDashboard, LoadedPanel
from sidestream_dashboards.look import UNITS
from sidestream_dashboards.macros import variables_in
from sidestream_dashboards.render import GRID_COLUMNS, SCHEMA_VERSION
from sidestream_dashboards.source import DATASOURCE, DATASOURCE_UID, EXPRESSION_UID, FOLDERS

FORMATS: Final = {
    "timeseries": "time_series",
    "table": "table",
    "stat": "table",
    "bargauge": "table",
    "state-timeline": "table",
}
_EXTRACT: Final = re.compile(r"extract\s*\(\s*\w+\s+FROM", re.IGNORECASE)
_RELATION: Final = re.compile(r"\b(?:FROM|JOIN)\s+(?!LATERAL\b|\()([\w.]+)(\s*\()?", re.IGNORECASE)
_DISTINCT: Final = re.compile(r"\bIS\s+(?:NOT\s+)?DISTINCT\s+FROM\b", re.IGNORECASE)
_CTE: Final = re.compile(r"(\w+)\s+AS\s*(?:MATERIALIZED\s*)?\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def static_problems(loaded: Loaded) -> list[Problem]:
    """Everything wrong that shows without a database; empty when all is well."""
    found = list(_across(loaded))
    for board in loaded.dashboards:
        for check in (_frame, _ids, _grid, _variables):
            found += [Problem(board.name, what) for what in check(board)]
        for panel in board.panels():
            found += [Problem(panel.where, what) for what in _panel(panel)]
    found += [Problem(rule.where, what) for rule in loaded.rules for what in _rule(rule.json)]
    return found


def _across(loaded: Loaded) -> Iterator[Problem]:
    for key in ("uid", "title"):
        for value in _repeated(board.json.get(key) for board in loaded.dashboards):
            yield Problem("dashboards", f"two have the {key} {value!r}")
        for value in _repeated(rule.json.get(key) for rule in loaded.rules):
            yield Problem("alert rules", f"two have the {key} {value!r}")
    if "$" in loaded.alerts_text:
        yield Problem("alert rules", "there is a '$', which Grafana would replace by an environment variable")
    uids = {board.json.get("uid") for board in loaded.dashboards}
    for rule in loaded.rules:
        if rule.json["annotations"].get("__dashboardUid__") not in uids:
            yield Problem(rule.where, "it leads to a dashboard that isn't there")


def _frame(board: LoadedDashboard) -> Iterator[str]:
    if board.json.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion is {board.json.get('schemaVersion')}, not {SCHEMA_VERSION}"
    if board.name.split("/")[0] not in FOLDERS:
        yield f"it lies in no known folder; there are {', '.join(FOLDERS)}"
    for key in sorted(board.json.keys() - DASHBOARD_KEYS):
        yield f"it has the key {key!r}, which schema version {SCHEMA_VERSION} does not know"
    yield from _nulls(board.json, "")
    if not any("synthetic" in panel.sql and "sidestream_v.hub" in panel.sql for panel in board.panels()):
        yield "no panel says whether the hub's figures are synthetic"


def _ids(board: LoadedDashboard) -> Iterator[str]:
    ids = [panel.get("id") for panel in board.json.get("panels", [])]
    for number in _repeated(ids):
        yield f"two panels have the id {number}"
    if any(not isinstance(number, int) or number < 1 for number in ids):
        yield "a panel has no positive whole number as its id"


def _grid(board: LoadedDashboard) -> Iterator[str]:
    places = [(panel.get("id"), panel.get("gridPos", {})) for panel in board.json.get("panels", [])]
    for number, place in places:
        if place.keys() != {"x", "y", "w", "h"} or min(place["w"], place["h"]) < 1 or min(place["x"], place["y"]) < 0:
            yield f"panel {number} has no proper place in the grid: {place}"
            return
        if place["x"] + place["w"] > GRID_COLUMNS:
            yield f"panel {number} goes beyond column {GRID_COLUMNS}"
    for (a, p), (b, q) in combinations(places, 2):
        if (
            p["x"] < q["x"] + q["w"]
            and q["x"] < p["x"] + p["w"]
            and p["y"] < q["y"] + q["h"]
            and q["y"] < p["y"] + p["h"]
        ):
            yield f"panels {a} and {b} overlap"


def _variables(board: LoadedDashboard) -> Iterator[str]:
    known = board.variables()
    used: set[str] = set()
    for panel in board.json.get("panels", []):
        texts = [panel.get("title", ""), *(target.get("rawSql", "") for target in panel.get("targets", []))]
        names = {name for text in texts for name in variables_in(text)} | (
            {panel["repeat"]} if "repeat" in panel else set()
        )
        for name in sorted(names - known.keys()):
            yield f"panel {panel.get('id')} uses the variable ${name}, which the dashboard does not have"
        used |= names
    for name in sorted(known.keys() - used):
        yield f"no panel uses the variable ${name}"
    for name, variable in known.items():
        if variable["type"] == "query":
            if variable.get("datasource") != DATASOURCE:
                yield f"the variable ${name} asks another data source than {DATASOURCE_UID}"
            yield from (f"variable ${name}: {what}" for what in foreign_relations(variable["query"]))


def _panel(panel: LoadedPanel) -> Iterator[str]:
    kind, targets = panel.json.get("type"), panel.json.get("targets", [])
    if kind not in FORMATS:
        yield f"the check does not know panels of type {kind!r}; there are {', '.join(FORMATS)}"
        return
    for key in sorted(panel.json.keys() - PANEL_KEYS):
        yield f"it has the key {key!r}, which today's Grafana does not know"
    if not panel.json.get("description", "").strip():
        yield "it has no description"
    yield from _units(panel)
    for ref in _repeated(target.get("refId") for target in targets):
        yield f"two queries have the refId {ref}"
    if len(targets) != 1:
        yield f"it has {len(targets)} queries; one is expected"
    for source in (panel.json.get("datasource"), *(target.get("datasource") for target in targets)):
        if source != DATASOURCE:
            yield f"it asks the data source {source}, not {DATASOURCE_UID}"
    for target in targets:
        yield from (f"its query has the unknown key {key!r}" for key in sorted(target.keys() - TARGET_KEYS))
        if target.get("format") != FORMATS[kind]:
            yield f"its query has the format {target.get('format')!r}; a {kind} needs {FORMATS[kind]!r}"
        yield from foreign_relations(target.get("rawSql", ""))


def _units(panel: LoadedPanel) -> Iterator[str]:
    if "unit" not in panel.defaults:
        yield "it has no unit"
    units = [panel.defaults.get("unit"), *(override.get("unit") for override in panel.overrides.values())]
    for unit in units:
        if unit is not None and unit not in UNITS:
            yield f"its unit {unit!r} is not one of those in use: {', '.join(sorted(UNITS))}"
    for name, override in panel.overrides.items():
        below = override.get("custom.fillBelowTo")
        if below is not None and below not in panel.overrides:
            yield f"the band of {name!r} ends at {below!r}, which it does not show"


def _rule(rule: Json) -> Iterator[str]:
    refs = [query.get("refId") for query in rule["data"]]
    yield from (f"two queries have the refId {ref}" for ref in _repeated(refs))
    if rule.get("condition") not in refs:
        yield f"its condition {rule.get('condition')!r} is none of its queries"
    for query in rule["data"]:
        if query.get("datasourceUid") not in (DATASOURCE_UID, EXPRESSION_UID):
            yield f"it asks the data source {query.get('datasourceUid')!r}, not {DATASOURCE_UID}"
        if query["model"].get("refId") != query.get("refId"):
            yield f"query {query.get('refId')} calls itself {query['model'].get('refId')}"
    for key in ("summary", "description"):
        if not rule.get("annotations", {}).get(key):
            yield f"it has no {key}"
    yield from foreign_relations(rule["data"][0]["model"].get("rawSql", ""))


def foreign_relations(sql: str) -> Iterator[str]:
    """A sentence for each relation that `sql` reads and that is no view of `sidestream_v`."""
    text = _DISTINCT.sub("", _EXTRACT.sub("extract(", sql))
    own = set(_CTE.findall(text))
    for relation, call in sorted(set(_RELATION.findall(text))):
        if not relation.startswith("sidestream_v.") and relation not in own and not call:
            yield f"its SQL reads {relation!r}; only views of sidestream_v may be read"


def _nulls(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        step = value.keys() == {"color", "value"}
        for key, item in value.items():
            if item is None and not (step and key == "value"):
                yield f"there is a null at {path}/{key}"
            yield from _nulls(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{path}/{index}")


def _repeated(values: Any) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]

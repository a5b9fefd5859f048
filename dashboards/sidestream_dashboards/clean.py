"""grafanalib 0.7.1 writes for Grafana 5 to 8; this keeps what Grafana 10 and later reads, and drops the rest.

What is kept is listed, so that a key that nobody knows can't slip through. A threshold step's `null` is the one null
that has a meaning (from below everything); every other one is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

DASHBOARD_KEYS: Final = frozenset({
    "annotations", "description", "editable", "graphTooltip", "links", "panels", "refresh", "schemaVersion", "tags",
    "templating", "time", "timepicker", "timezone", "title", "uid", "version",
})  # fmt: skip
PANEL_KEYS: Final = frozenset({
    "datasource", "description", "fieldConfig", "gridPos", "id", "interval", "links", "options", "repeat",
    "repeatDirection", "targets", "title", "transformations", "type",
})  # fmt: skip
ROW_KEYS: Final = frozenset({"collapsed", "gridPos", "id", "panels", "repeat", "title", "type"})
TARGET_KEYS: Final = frozenset({"datasource", "editorMode", "format", "rawQuery", "rawSql", "refId"})
VARIABLE_KEYS: Final = frozenset({
    "current", "datasource", "hide", "includeAll", "label", "multi", "name", "options", "query",
    "refresh", "regex", "sort", "type",
})  # fmt: skip
OPTION_KEYS: Final = {
    "table": frozenset({"frameIndex", "showHeader", "sortBy"}),
    "bargauge": frozenset({
        "displayMode", "legend", "maxVizHeight", "minVizHeight", "minVizWidth", "namePlacement", "orientation",
        "reduceOptions", "showUnfilled", "sizing", "valueMode",
    }),
}  # fmt: skip
"""Options of panels for which grafanalib writes some that today's Grafana does not know."""
CUSTOM_KEYS: Final = {"table": frozenset({"align", "cellOptions", "filterable", "inspect"})}
_EMPTY: Final[tuple[Any, ...]] = ([], {}, "")


def cleaned(raw: dict[str, Any]) -> dict[str, Any]:
    """The dashboard with only keys of schema version 39, and no nulls but those of threshold steps."""
    kept = _only(_without_nulls(raw), DASHBOARD_KEYS)
    kept["panels"] = [_panel(panel) for panel in kept["panels"]]
    kept["timepicker"] = _only(kept["timepicker"], {"refresh_intervals"})
    kept["templating"] = {"list": [_variable(variable) for variable in kept["templating"]["list"]]}
    return kept


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    if panel["type"] == "row":
        return _only(panel, ROW_KEYS)
    kept = _only(panel, PANEL_KEYS)
    for key in ("links", "transformations"):
        if kept.get(key) in _EMPTY:
            kept.pop(key, None)
    kept["targets"] = [_only(target | {"editorMode": "code"}, TARGET_KEYS) for target in kept["targets"]]
    kept["options"] = _only(kept["options"], OPTION_KEYS.get(panel["type"], kept["options"]))
    custom = kept["fieldConfig"]["defaults"].get("custom", {})
    kept["fieldConfig"]["defaults"]["custom"] = _only(custom, CUSTOM_KEYS.get(panel["type"], custom))
    return kept


def _variable(variable: dict[str, Any]) -> dict[str, Any]:
    kept = _only(variable, VARIABLE_KEYS)
    if kept["type"] == "query":
        return kept
    return _only(kept, kept.keys() - {"multi", "includeAll", "refresh", "sort", "datasource"}) | {
        "current": {"text": "", "value": ""}
    }


def _only(found: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    wanted = set(keys)
    return {key: value for key, value in found.items() if key in wanted}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        step = value.keys() == {"color", "value"}
        return {key: _without_nulls(item) for key, item in value.items() if item is not None or step}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value

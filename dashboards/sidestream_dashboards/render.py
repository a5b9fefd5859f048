"""From our model to grafanalib's objects, and from those to the JSON that Grafana loads.

Panels are laid out left to right in the order given, and numbered from 1 in that order, so that ids stay where panels
do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from grafanalib import core
from grafanalib._gen import DashboardEncoder

from sidestream_dashboards.clean import cleaned
from sidestream_dashboards.model import Dashboard, Field, Panel, Row, Step, Variable
from sidestream_dashboards.source import DATASOURCE

GRID_COLUMNS = 24
SCHEMA_VERSION = 39
_CHOICE = """WITH choice AS (
{}
)
SELECT __text, __value FROM choice
UNION ALL SELECT 'none yet', '-' WHERE NOT EXISTS (SELECT FROM choice)"""
"""A list is never empty: with nothing to choose, "All" would make `IN ()`, which is an error on every panel."""
_LINK = {
    "tags": [],
    "asDropdown": False,
    "keepTime": True,
    "includeVars": False,
    "targetBlank": False,
    "icon": "dashboard",
    "tooltip": "",
    "url": "",
}
_MENU = _LINK | {"type": "dashboards", "tags": ["sidestream"], "title": "Sidestream", "asDropdown": True}
"""Leads from each dashboard to the others, with the time range kept."""


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana's JSON model: schema version 39, no nulls, no keys of older versions."""
    made = core.Dashboard(
        title=dashboard.title,
        uid=dashboard.uid,
        description=dashboard.description,
        tags=["sidestream"],
        timezone="browser",
        schemaVersion=SCHEMA_VERSION,
        refresh=dashboard.refresh,
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        editable=False,
        time=core.Time(dashboard.time_from, "now"),
        timePicker=core.TimePicker(["10s", "30s", "1m", "5m", "15m", "1h"], []),
        templating=core.Templating(list=[_variable(variable) for variable in dashboard.variables]),
        panels=list(_placed(dashboard.parts)),
        links=[_MENU],
    )
    return cleaned(json.loads(json.dumps(made, cls=DashboardEncoder)))


def _placed(parts: tuple[Panel | Row, ...]) -> Iterator[Any]:
    x = y = line_height = 0
    for number, part in enumerate(parts, start=1):
        width, height = (GRID_COLUMNS, 1) if isinstance(part, Row) else (part.width, part.height)
        if x + width > GRID_COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        position = core.GridPos(h=height, w=width, x=x, y=y)
        yield _row(part, number, position) if isinstance(part, Row) else _panel(part, number, position)
        x, line_height = x + width, max(line_height, height)


def _row(row: Row, number: int, position: core.GridPos) -> core.RowPanel:
    repeat = core.Repeat(variable=row.repeat, direction="h") if row.repeat else core.Repeat()
    return core.RowPanel(title=row.title, id=number, gridPos=position, repeat=repeat)


def _panel(panel: Panel, number: int, position: core.GridPos) -> core.Panel:
    links = [_LINK | {"type": "link", "title": "More", "url": f"/d/{panel.link}"}] if panel.link else []
    return _MAKERS[panel.kind](
        title=panel.title,
        description=panel.description,
        id=number,
        gridPos=position,
        dataSource=DATASOURCE,
        targets=[_target(panel)],
        interval=panel.min_interval,
        links=links,
        extraJson=_extra(panel),
    )


def _target(panel: Panel) -> core.SqlTarget:
    shape = core.TIME_SERIES_TARGET_FORMAT if panel.kind == "timeseries" else core.TABLE_TARGET_FORMAT
    return core.SqlTarget(rawSql=panel.sql.strip(), refId="A", format=shape, datasource=DATASOURCE)


_LEGEND = {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": True}
_STAT_OPTIONS = {
    "graphMode": "none",
    "textMode": "value",
    "colorMode": "value",
    "wideLayout": True,
    "showPercentChange": False,
    "percentChangeColorMode": "standard",
}
_BARGAUGE_OPTIONS = {
    "displayMode": "basic",
    "orientation": "horizontal",
    "showUnfilled": True,
    "valueMode": "color",
    "namePlacement": "auto",
    "sizing": "auto",
    "minVizWidth": 8,
    "minVizHeight": 16,
    "maxVizHeight": 300,
    "legend": _LEGEND | {"showLegend": False},
}
_MAKERS: dict[str, Callable[..., core.Panel]] = {
    "timeseries": core.TimeSeries,
    "table": core.Table,
    "stat": core.Stat,
    "bargauge": core.BarGauge,
    "state-timeline": core.StateTimeline,
}


def _extra(panel: Panel) -> dict[str, Any]:
    """What grafanalib has no word for, or says in the way of an older Grafana."""
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "decimals": panel.decimals,
        "noValue": panel.empty,
        "max": panel.maximum,
        "mappings": list(panel.mappings),
        "thresholds": _thresholds(panel.steps),
        "custom": _drawn(panel),
    }
    if panel.kind in ("stat", "bargauge") and panel.steps:
        defaults["color"] = {"mode": "thresholds"}
    overrides = [_override(field, panel) for field in panel.fields]
    return {"fieldConfig": {"defaults": defaults, "overrides": overrides}, "options": _options(panel)}


def _drawn(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        bars = {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0}
        lines = {"drawStyle": "line", "fillOpacity": 0, "lineWidth": 2, "showPoints": "auto", "spanNulls": False}
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        return (bars if panel.bars else lines) | {"stacking": stacking}
    if panel.kind == "table":
        return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True, "inspect": False}
    return {}


def _options(panel: Panel) -> dict[str, Any]:
    reduced = {"calcs": ["lastNotNull"], "fields": "/.*/" if panel.text else "", "values": panel.kind == "bargauge"}
    sort = [{"displayName": panel.sort[0], "desc": panel.sort[1]}] if panel.sort else []
    options: dict[str, dict[str, Any]] = {
        "stat": _STAT_OPTIONS | {"reduceOptions": reduced},
        "bargauge": _BARGAUGE_OPTIONS | {"reduceOptions": reduced},
        "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "none"}},
        "state-timeline": {"legend": _LEGEND, "tooltip": {"mode": "single", "sort": "none"}},
        "table": {"frameIndex": 0, "sortBy": sort},
    }
    return options[panel.kind]


def _override(field: Field, panel: Panel) -> dict[str, Any]:
    """A bar gauge names each bar after the row's words; a display name would give all bars the same one."""
    found: dict[str, Any] = {} if panel.kind == "bargauge" else {"displayName": field.title}
    if field.unit:
        found["unit"] = field.unit
    if field.decimals is not None:
        found["decimals"] = field.decimals
    if field.mappings:
        found["mappings"] = list(field.mappings)
    if field.steps:
        found["thresholds"] = _thresholds(field.steps)
    if panel.kind == "table" and panel.empty:
        found["noValue"] = "-"
    found |= field.draw
    properties = [{"id": name, "value": value} for name, value in found.items()]
    return {"matcher": {"id": "byName", "options": field.name}, "properties": properties}


def _thresholds(steps: tuple[Step, ...]) -> dict[str, Any]:
    shown = steps or (Step("text"),)
    return {"mode": "absolute", "steps": [{"color": step.color, "value": step.value} for step in shown]}


def _variable(variable: Variable) -> core.Template:
    if variable.sql is None:
        return core.Template(name=variable.name, label=variable.label, query="", type="textbox", default="")
    made = core.Template(
        name=variable.name,
        label=variable.label,
        query=_CHOICE.format(variable.sql.strip()),
        dataSource=DATASOURCE,
        multi=True,
        includeAll=True,
        refresh=core.REFRESH_ON_TIME_RANGE_CHANGE,
    )
    made._current = {"text": ["All"], "value": ["$__all"]}  # noqa: SLF001 (grafanalib offers no other way)
    return made

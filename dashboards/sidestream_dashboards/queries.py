"""The SQL that Grafana would send for a dashboard: its time range, its variables' choices, its panels' finished texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sidestream_dashboards.contract import cells
from sidestream_dashboards.loaded import LoadedDashboard, LoadedPanel
from sidestream_dashboards.macros import Choice, MacroError, Window, expand
from sidestream_store.read.panels import PanelReader, PanelSqlError

POINTS: Final = 1000
"""About as many points as Grafana asks of a panel; the interval is the time range divided by it, rounded up."""
LONG_RANGE_S: Final = 30 * 86400
REPEATS: Final = 20
"""A repeated row is asked for at most this many values."""
_AGO: Final = re.compile(r"now-(\d+)([mhd])")
_UNIT_S: Final = {"m": 60, "h": 3600, "d": 86400}
_STEPS_S: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def window(length_s: int, now_at: datetime) -> Window:
    """The last `length_s` seconds, with the interval that Grafana would choose."""
    interval_s = next((step for step in _STEPS_S if step >= length_s / POINTS), _STEPS_S[-1])
    return Window(now_at - timedelta(seconds=length_s), now_at, interval_s)


def own_window(board: LoadedDashboard, now_at: datetime) -> Window:
    """The dashboard's own time range, ending now; MacroError where it isn't written like `now-24h`."""
    written = board.json["time"]["from"]
    found = _AGO.fullmatch(written)
    if not found:
        raise MacroError(f"{board.name}: the time range from {written!r} isn't understood; write it like 'now-24h'.")
    return window(int(found[1]) * _UNIT_S[found[2]], now_at)


def variable_choices(reader: PanelReader, board: LoadedDashboard, over: Window) -> dict[str, Choice]:
    """Every variable at its default: all values of a list, nothing for free text; errors as of `PanelReader.run`."""
    choices: dict[str, Choice] = {}
    for name, variable in board.variables().items():
        if variable["type"] != "query":
            choices[name] = ""
            continue
        answer = reader.run(expand(variable["query"], over, choices))
        if [column.name for column in answer.columns] != ["__text", "__value"]:
            raise PanelSqlError(f"the variable ${name} needs the columns __text and __value")
        choices[name] = [str(value) for value in cells(answer, "__value")]
    return choices


def panel_sqls(panel: LoadedPanel, over: Window, choices: Mapping[str, Choice]) -> list[str]:
    """What Grafana sends for a panel: one text, or one for each value of its repeated row's variable.

    Raises MacroError for SQL that Grafana could not expand.
    """
    if panel.scoped is None:
        return [expand(panel.sql, over, choices)]
    values = list(choices.get(panel.scoped, []))[:REPEATS]
    return [expand(panel.sql, over, {**choices, panel.scoped: [value]}) for value in values]

"""Grafana's macros and variables, expanded as Grafana's PostgreSQL data source does it.

First the variables (in the browser), then the plain words `$__interval…`, then `$__name(arguments)`, whose arguments
end at the first `)`. After `grafana/pkg/tsdb/grafana-postgresql-datasource` (macros.go, sqleng) of Grafana 11 to 13.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sidestream_contracts.errors import ConfigurationError

_CALL: Final = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_VARIABLE: Final = re.compile(r"\$(?!__)(\w+)|\$\{(?!__)(\w+)(?::\w+)?\}")
_INTERVAL: Final = re.compile(r"(\d+)(ms|s|m|h|d|w|M|y)")
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2629800, "y": 31557600}
Choice = str | Sequence[str]
"""A chosen value: a text stands bare in the SQL (quotes doubled), a list comes out quoted and joined by commas."""


class MacroError(ConfigurationError):
    """A panel's SQL uses a macro or variable that Grafana could not expand."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time range a reader looks at, and the length of one point in it."""

    from_at: datetime
    to_at: datetime
    interval_s: int = 60


def variables_in(sql: str) -> set[str]:
    """The names of the dashboard variables that `sql` uses."""
    return {first or second for first, second in _VARIABLE.findall(sql)}


def expand(sql: str, window: Window, choices: Mapping[str, Choice] | None = None, *, timescaledb: bool = False) -> str:
    """The SQL that reaches the database; MacroError for an unknown macro, variable or a macro without its arguments."""
    text = _VARIABLE.sub(lambda match: _chosen(match[1] or match[2], choices or {}), sql)
    text = text.replace("$__interval_ms", str(window.interval_s * 1000))
    text = text.replace("$__interval", _interval(window.interval_s))
    text = text.replace("$__unixEpochFrom()", str(_epoch(window.from_at)))
    text = text.replace("$__unixEpochTo()", str(_epoch(window.to_at)))
    return _CALL.sub(lambda match: _call(match, window, timescaledb), text)


def _chosen(name: str, choices: Mapping[str, Choice]) -> str:
    if name not in choices:
        raise MacroError(f"SQL uses the variable ${name}, and the dashboard has none of that name.")
    choice = choices[name]
    if isinstance(choice, str):
        return choice.replace("'", "''")
    return ",".join("'" + value.replace("'", "''") + "'" for value in choice)


def _call(match: re.Match[str], window: Window, timescaledb: bool) -> str:
    name, arguments = match[1], [argument.strip(" ") for argument in match[2].split(",")]
    if name == "__timeGroup" and match.string[match.end() : match.end() + 1] == ",":
        name = "__timeGroupAlias"
    alias = name.endswith("GroupAlias")
    if name.removesuffix("Alias") == "__timeGroup":
        return _group(name, arguments, timescaledb=timescaledb, epoch=False) + (' AS "time"' if alias else "")
    if name.removesuffix("Alias") == "__unixEpochGroup":
        return _group(name, arguments, timescaledb=False, epoch=True) + (' AS "time"' if alias else "")
    if name not in _MACROS:
        raise MacroError(f"SQL uses the macro ${name}(), which Grafana does not know.")
    if name not in _BARE and not arguments[0]:
        raise MacroError(f"SQL uses the macro ${name}() without naming a column.")
    return _MACROS[name](arguments[0], window)


_BARE: Final = frozenset({"__timeFrom", "__timeTo", "__unixEpochNanoFrom", "__unixEpochNanoTo"})
_MACROS: Final[Mapping[str, Callable[[str, Window], str]]] = {
    "__time": lambda column, _: f'{column} AS "time"',
    "__timeEpoch": lambda column, _: f'extract(epoch from {column}) as "time"',
    "__timeFilter": lambda column, window: f"{column} BETWEEN '{_rfc(window.from_at)}' AND '{_rfc(window.to_at)}'",
    "__timeFrom": lambda _, window: f"'{_rfc(window.from_at)}'",
    "__timeTo": lambda _, window: f"'{_rfc(window.to_at)}'",
    "__unixEpochFilter": lambda column, window: (
        f"{column} >= {_epoch(window.from_at)} AND {column} <= {_epoch(window.to_at)}"
    ),
    "__unixEpochNanoFilter": lambda column, window: (
        f"{column} >= {_epoch(window.from_at)}000000000 AND {column} <= {_epoch(window.to_at)}000000000"
    ),
    "__unixEpochNanoFrom": lambda _, window: f"{_epoch(window.from_at)}000000000",
    "__unixEpochNanoTo": lambda _, window: f"{_epoch(window.to_at)}000000000",
}


def _group(name: str, arguments: Sequence[str], *, timescaledb: bool, epoch: bool) -> str:
    if len(arguments) < 2:
        raise MacroError(f"SQL uses the macro ${name}(), which needs a time column and an interval.")
    found = _INTERVAL.fullmatch(arguments[1].strip("'"))
    if not found:
        raise MacroError(f"SQL uses the macro ${name}() with {arguments[1]}, which is no interval such as '5m'.")
    column, seconds = arguments[0], int(found[1]) * _UNIT_S[found[2]]
    if epoch:
        return f"floor(({column})/{seconds:g})*{seconds:g}"
    if timescaledb:
        return f"time_bucket('{seconds:.3f}s',{column})"
    return f"floor(extract(epoch from {column})/{seconds:g})*{seconds:g}"


def _interval(seconds: int) -> str:
    """As gtime.FormatInterval: the largest unit that the interval reaches, rounded down."""
    for unit in ("d", "h", "m"):
        if seconds >= _UNIT_S[unit]:
            return f"{int(seconds // _UNIT_S[unit])}{unit}"
    return f"{seconds}s"


def _rfc(at: datetime) -> str:
    text = at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") + "Z"


def _epoch(at: datetime) -> int:
    return int(at.timestamp())

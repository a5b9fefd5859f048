"""What each kind of panel needs from its SQL: columns by name and type, order, and rows; and an alert rule likewise.

The rules are Grafana's: a time series is converted from long to wide and must be sorted by time; an alert's answer is
a table of words (labels) and exactly one number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from sidestream_dashboards.loaded import LoadedPanel, LoadedRule
from sidestream_store.read.panels import Answer

NUMBERS: Final = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})
WORDS: Final = frozenset({"text", "varchar", "bpchar", "name"})
TIME: Final = "timestamptz"
_LABEL: Final = re.compile(r"\.Labels\.(\w+)")


def panel_problems(panel: LoadedPanel, answer: Answer) -> list[str]:
    """What the panel could not show of this answer, and columns it names that are not there."""
    names = [column.name for column in answer.columns]
    problems = [f"its SQL gives two columns named {name!r}" for name in {n for n in names if names.count(n) > 1}]
    problems += [
        f"it names the column {name!r}, which its SQL does not give; it gives {', '.join(names)}"
        for name in panel.overrides
        if name not in names
    ]
    return problems + list(_KINDS[panel.json["type"]](panel, answer))


def rule_problems(rule: LoadedRule, answer: Answer) -> list[str]:
    """What Grafana's alerting could not evaluate in this answer, and labels its texts use that are not there."""
    problems = []
    numbers, words = _of(answer, NUMBERS), _of(answer, WORDS)
    odd = [column.name for column in answer.columns if column.name not in numbers and column.name not in words]
    if len(numbers) != 1 or odd:
        problems.append(
            f"its SQL must give one number and else only words; it gives the numbers {numbers}, and neither: {odd}"
        )
    problems += [
        f"its text uses the label {label!r}, which its SQL does not give"
        for label in sorted(set(_LABEL.findall(rule.texts)) - set(words))
    ]
    if len(numbers) == 1:
        at = _index(answer, numbers[0])
        labels = [row[:at] + row[at + 1 :] for row in answer.rows]
        if len(set(labels)) != len(labels):
            problems.append("two rows have the same labels; each subject must have one row")
        if any(row[at] is None for row in answer.rows):
            problems.append("a row has no number; give one for each subject")
    return problems


def has_content(panel: LoadedPanel, answer: Answer) -> bool:
    """Whether the panel would show something: a row, and in a time series at least one number."""
    if panel.json["type"] != "timeseries":
        return bool(answer.rows)
    drawn = [_index(answer, name) for name in _of(answer, NUMBERS) if name not in _limits(panel)]
    return any(row[index] is not None for row in answer.rows for index in drawn)


def _limits(panel: LoadedPanel) -> set[str]:
    """Columns that are drawn whether or not something was observed: fixed limits."""
    return {name for name in panel.overrides if name.startswith(("min_", "max_"))}


def _timeseries(_panel: LoadedPanel, answer: Answer) -> Iterator[str]:
    types = {column.name: column.type for column in answer.columns}
    numbers, words = _of(answer, NUMBERS), _of(answer, WORDS)
    if types.get("time") != TIME:
        yield f"a time series needs a column 'time' of type {TIME}; its SQL gives {types.get('time', 'none')}"
        return
    if not numbers:
        yield "a time series needs at least one number"
    odd = [name for name in types if name != "time" and name not in numbers and name not in words]
    if odd:
        yield f"a time series can't draw {', '.join(odd)} ({', '.join(types[name] for name in odd)})"
    if words and (words != ["metric"] or len(numbers) != 1):
        yield f"a long time series needs one word column 'metric' and one number; it gives {words} and {numbers}"
    yield from _ordered(answer, words)


def _ordered(answer: Answer, words: list[str]) -> Iterator[str]:
    time = _index(answer, "time")
    times = [row[time] for row in answer.rows]
    if None in times:
        yield "a row has no time"
    elif times != sorted(times):
        yield "its rows are not ascending by time"
    keys = [(row[time], *(row[_index(answer, word)] for word in words)) for row in answer.rows]
    if len(set(keys)) != len(keys):
        yield "it gives two values of one series for the same time"


def _state_timeline(_panel: LoadedPanel, answer: Answer) -> Iterator[str]:
    if "time" not in _of(answer, frozenset({TIME})):
        yield f"a state timeline needs a column 'time' of type {TIME}"
    elif not _of(answer, WORDS):
        yield "a state timeline needs at least one column of words"
    else:
        yield from _ordered(answer, [])


def _table(panel: LoadedPanel, answer: Answer) -> Iterator[str]:
    overrides = panel.overrides
    for column in answer.columns:
        if column.name not in overrides:
            yield f"its column {column.name!r} has no heading"
        if column.type in NUMBERS and "unit" not in overrides.get(column.name, {"unit": ""}):
            yield f"its column {column.name!r} is a number without a unit"
        if column.type not in NUMBERS | WORDS | {TIME, "bool"}:
            yield f"its column {column.name!r} is of type {column.type}, which a table can't show well"
    headings = {override.get("displayName") for override in overrides.values()}
    for order in panel.json["options"].get("sortBy", []):
        if order["displayName"] not in headings:
            yield f"it is sorted by {order['displayName']!r}, which it does not show"


def _stat(panel: LoadedPanel, answer: Answer) -> Iterator[str]:
    shows_words = panel.json["options"]["reduceOptions"].get("fields") == "/.*/"
    wanted, named = (WORDS, "one column of words") if shows_words else (NUMBERS, "one number")
    if len(answer.columns) != 1 or answer.columns[0].type not in wanted:
        yield f"it needs {named}; its SQL gives {', '.join(f'{c.name} {c.type}' for c in answer.columns)}"
    if len(answer.rows) > 1:
        yield f"it shows one row; its SQL gives {len(answer.rows)}"


def _bargauge(_panel: LoadedPanel, answer: Answer) -> Iterator[str]:
    if [column.type in NUMBERS for column in answer.columns] != [False, True] or not _of(answer, WORDS):
        yield "it needs a column of words and then one number; its SQL gives " + ", ".join(
            f"{column.name} {column.type}" for column in answer.columns
        )
    elif len({row[0] for row in answer.rows}) != len(answer.rows):
        yield "two of its bars have the same name"


_KINDS: Final[dict[str, Callable[[LoadedPanel, Answer], Iterator[str]]]] = {
    "timeseries": _timeseries,
    "table": _table,
    "stat": _stat,
    "bargauge": _bargauge,
    "state-timeline": _state_timeline,
}


def _of(answer: Answer, types: frozenset[str]) -> list[str]:
    return [column.name for column in answer.columns if column.type in types]


def _index(answer: Answer, name: str) -> int:
    return next(index for index, column in enumerate(answer.columns) if column.name == name)


def cells(answer: Answer, name: str) -> list[Any]:
    """One column's values."""
    index = _index(answer, name)
    return [row[index] for row in answer.rows]

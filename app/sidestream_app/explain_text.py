"""An explained number as a tree for people: value with ± two standard deviations, time, origin, rule, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sidestream_twin.explain.tree import Explained, Quantity

_CHECKS = {"equal": "✓", "differs": "✗", "not_possible": "–", "not_stored": "·"}
_OFTEN_DULL = {"quality": "good", "completeness": 1.0, "revision": 1}


def tree_lines(told: Explained, zone: str) -> Iterator[str]:
    """The tree, one line after another; times in `zone` with their offset. A rule and a version are told once."""
    yield from _lines(told, ZoneInfo(zone), "", "", set())


def _lines(told: Explained, zone: ZoneInfo, first: str, rest: str, said: set[str]) -> Iterator[str]:
    yield first + _headline(told, zone)
    children = _children(told, said)
    below = rest + ("│  " if children else "   ")
    for line in _details(told, zone, said):
        yield below + line
    for n, child in enumerate(children):
        last = n == len(children) - 1
        if isinstance(child, str):
            yield f"{rest}{'└─ ' if last else '├─ '}{child}"
        else:
            yield from _lines(child, zone, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), said)


def _children(told: Explained, said: set[str]) -> list[Explained | str]:
    children: list[Explained | str] = [part for part in told.inputs if _is_new(part, said)]
    return [*children, f"… and {told.left_out} more (--readings N shows more)"] if told.left_out else children


def _is_new(part: Explained, said: set[str]) -> bool:
    """Whether a version of the configuration was not told yet; anything else is told each time."""
    if "sha256" not in part.facts:
        return True
    new = part.said not in said
    said.add(str(part.said))
    return new


def _headline(told: Explained, zone: ZoneInfo) -> str:
    value = figure_text(told.quantity) if told.quantity is not None else None
    said = "; ".join(part for part in (value, told.said) if part)
    line = f"{told.what}: {said}" if said else told.what
    if told.origin:
        line += f", {told.origin}"
    return f"{line}  {_when(told, zone)}".rstrip()


def figure_text(quantity: Quantity) -> str:
    """Value ± two standard deviations with the unit."""
    if quantity.value is None:
        return "not known"
    unit = "" if quantity.unit == "1" else f" {quantity.unit}"
    if quantity.sd is None:
        return f"{quantity.value:.9g}{unit}"
    return f"{quantity.value:.9g} ± {2 * quantity.sd:.3g}{unit}"


def _when(told: Explained, zone: ZoneInfo) -> str:
    if told.from_at is None:
        return ""
    if told.to_at is None:
        return _at(told.from_at, zone)
    start, end = told.from_at.astimezone(zone), told.to_at.astimezone(zone)
    same_day = start.date() == end.date() and start.utcoffset() == end.utcoffset()
    shown = end.time().isoformat() if same_day else _at(told.to_at, zone)
    return f"{_at(told.from_at, zone)} to {shown}"


def _at(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(sep=" ")


def _details(told: Explained, zone: ZoneInfo, said: set[str]) -> Iterator[str]:
    if told.address and "frame" not in told.facts:
        yield told.address
    if told.rule is not None:
        sd = told.quantity
        if sd is not None and sd.sd and "frame" not in told.facts:
            yield f"standard deviation: random {sd.sd_random:.3g}, systematic {sd.sd_systematic:.3g}"
        if told.rule.code not in said:
            yield f"how: {told.rule.words} [{told.rule.source}]"
        said.add(told.rule.code)
    if told.check is not None:
        yield f"{_CHECKS[told.check.outcome]} {told.check.why}"
    facts = {k: v for k, v in told.facts.items() if _OFTEN_DULL.get(k) != v}
    if facts:
        yield "; ".join(f"{name.replace('_', ' ')} {_fact(value, zone)}" for name, value in facts.items())
    yield from (f"! {remark}" for remark in told.remarks)


def _fact(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return _at(value, zone)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_fact(v, zone)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_fact(part, zone) for part in value)
    return str(value)

"""Single values out of a message: a place in JSON, a number, a boolean, a time. Pure; ContractError names reason and cause.

Nothing is guessed: a comma is a decimal comma only where `edge.yaml` says so, a time has the format that it declares.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sidestream_contracts.edge_brokers import MqttTime
from sidestream_contracts.errors import ContractError

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TRUE, _FALSE = frozenset({"true", "on", "yes", "1"}), frozenset({"false", "off", "no", "0"})
_PER_SECOND = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
_LARGEST = 1e30
_EARLIEST_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_AHEAD = timedelta(days=1)
_SHOWN = 60


def at(body: Any, path: str) -> Any:
    """The value at `path` (`data.temp`, `values[0].v`); ContractError `path_missing` that says how far it goes."""
    here = body
    for step in _STEP.finditer(path):
        name, index = step.group(1), step.group(2)
        if name is not None and isinstance(here, dict) and name in here:
            here = here[name]
        elif index is not None and isinstance(here, list) and int(index) < len(here):
            here = here[int(index)]
        else:
            there = ", ".join(map(str, list(here)[:8])) if isinstance(here, dict) else shown(here)
            raise ContractError("path_missing", f"there is nothing at {path!r}; at {step.group(0)!r} there is: {there}")
    return here


def number(raw: Any, *, decimal_comma: bool) -> float:
    """A finite number within ±1e30; ContractError `not_a_number` or `out_of_range`."""
    if isinstance(raw, str):
        raw = _from_text(raw, decimal_comma=decimal_comma)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ContractError("not_a_number", f"{shown(raw)} is no number")
    if not math.isfinite(raw) or abs(raw) > _LARGEST:
        raise ContractError("out_of_range", f"{shown(raw)} is not a number within ±1e30")
    return float(raw)


def _from_text(text: str, *, decimal_comma: bool) -> float:
    plain = text.strip()
    if decimal_comma and "." not in plain:
        plain = plain.replace(",", ".", 1)
    elif decimal_comma:
        raise ContractError("not_a_number", f"{shown(text)} has a point where a decimal comma is declared")
    if not _NUMBER.fullmatch(plain):
        hint = "; if that is a decimal comma, write `decimal_comma: true`" if plain.count(",") == 1 else ""
        raise ContractError("not_a_number", f"{shown(text)} is no number{hint}")
    return float(plain)


def boolean(raw: Any) -> float:
    """1 or 0 from true/false, on/off, yes/no, 1/0 in any case; ContractError `not_a_boolean`."""
    if isinstance(raw, bool) or (isinstance(raw, int | float) and raw in (0, 1)):
        return float(raw)
    text = raw.strip().lower() if isinstance(raw, str) else ""
    if text in _TRUE:
        return 1.0
    if text in _FALSE:
        return 0.0
    raise ContractError("not_a_boolean", f"{shown(raw)} is neither true nor false")


def time_us(raw: Any, how: MqttTime, now: datetime) -> int:
    """µs UTC; ContractError `bad_time`, `time_without_zone`, `time_impossible` (before 2000, or over a day ahead of `now`)."""
    t = _iso_us(raw, how.zone) if how.format == "iso8601" else _epoch_us(raw, _PER_SECOND[how.format])
    latest_us = int((now + _AHEAD).timestamp() * 1e6)
    if not _EARLIEST_US <= t <= latest_us:
        raise ContractError(
            "time_impossible",
            f"{shown(raw)} as {how.format} is before 2000 or over a day ahead; check `time.format` and the device's clock",
        )
    return t


def _iso_us(raw: Any, zone: str | None) -> int:
    try:
        when = datetime.fromisoformat(raw)
    except (TypeError, ValueError) as error:
        raise ContractError("bad_time", f"{shown(raw)} is no time in ISO 8601") from error
    if when.tzinfo is None and zone is not None:
        when = datetime.fromisoformat(f"{when.isoformat()}{'+00:00' if zone == 'UTC' else zone}")
    if when.tzinfo is None:
        raise ContractError(
            "time_without_zone",
            f"{shown(raw)} has no zone, so nobody knows when that was; write `time.zone` if it is always the same",
        )
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _epoch_us(raw: Any, per_second: int) -> int:
    try:
        count = number(raw, decimal_comma=False)
    except ContractError as error:
        raise ContractError("bad_time", f"the time {error}") from error
    if isinstance(raw, int):
        return raw * (1_000_000 // per_second)
    return round(count * (1_000_000 / per_second))


def shown(raw: Any) -> str:
    """What came, short enough for a sentence."""
    text = repr(raw)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

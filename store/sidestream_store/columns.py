"""Columns of parameters as PostgreSQL array literals, for values that need no quoting.

The client library looks at each element for what must be quoted; for a ledger row of one reading that was the dearest step
of all. Here are only numbers, booleans, ids and hexadecimal, none of which may hold a comma, brace, quote or backslash.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def numbers(values: Iterable[float | None]) -> str:
    """Numbers, exactly, None as NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def words(values: Iterable[str]) -> str:
    """Texts that need no quoting: ids, letters, hexadecimal."""
    return "{" + ",".join(values) + "}"


def flags(values: Iterable[bool]) -> str:
    """Booleans."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


def micros(at: datetime) -> int:
    """µs since 1970 UTC, exactly."""
    return (at - _UNIX) // _MICROSECOND

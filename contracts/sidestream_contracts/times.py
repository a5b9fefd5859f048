"""Times as people write them: with a zone, or in the hub's own; shown back in both the hub's zone and UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sidestream_contracts.errors import ConfigurationError


def understood(text: str, zone: str, option: str) -> datetime:
    """The instant meant, in UTC; a time without offset is of the hub's `zone`, a date alone is its midnight.

    ConfigurationError for what is no time, does not exist, or exists twice because clocks changed.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"{option} is {text!r}, which is no time; write e.g. 2026-10-25T08:30 (in {zone}) or 2026-10-25T08:30+02:00."
        ) from error
    return at.astimezone(UTC) if at.tzinfo else _local(at, ZoneInfo(zone), option)


def _local(at: datetime, zone: ZoneInfo, option: str) -> datetime:
    early, late = (at.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at:
        raise ConfigurationError(f"{option}: {at} does not exist in {zone.key}: clocks were put forward over it.")
    if early.utcoffset() != late.utcoffset():
        raise ConfigurationError(
            f"{option}: {at} exists twice in {zone.key}, where clocks were put back; "
            f"write {early.isoformat()} or {late.isoformat()}."
        )
    return early.astimezone(UTC)


def shown(at: datetime, zone: str) -> str:
    """An instant for people: the hub's time with its offset, and UTC."""
    utc = at.astimezone(UTC)
    day = f"{utc:%H:%M:%S}Z" if utc.date() == at.astimezone(ZoneInfo(zone)).date() else f"{utc:%Y-%m-%d %H:%M:%S}Z"
    return f"{at.astimezone(ZoneInfo(zone)).isoformat(sep=' ')} ({day})"

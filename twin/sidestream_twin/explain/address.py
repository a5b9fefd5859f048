"""How a number is named: `kind/id/quantity@time#revision`, stable, copyable, and the same text whoever writes it. Pure.

    stream/fish-heat/heat_flow@2026-11-22T09:00:00Z      a figure of the twin's step that holds this instant
    stream/fish-heat/heat_flow/1h@2026-11-22T09:00:00Z   its sum over the hour (15m: over the quarter)
    node/slag-silo/stock_mass                            the newest one
    agreement/heat-to-powerco@2026-11-22                 in the period that holds this instant
    sensor/boiler-flow@…, sensor/boiler-flow/1h@…        a reading, a roll-up
    lot/SS-BAG-000123                                    where it is

A revision tells a figure as it was published before it was corrected. What may stand in an id is written as it is; any
other character, such as the slash in an EPC URI, as %XX of its UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.times import understood

_PLAIN = ":.,;=+!()*'$&"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_LARGEST_REVISION = 2**31 - 1
EXAMPLE = "stream/fish-heat/heat_flow@2026-11-22T09:00:00Z"


@dataclass(frozen=True, slots=True)
class Address:
    """Names one number: `parts` from kind to the finest division; `at` None: the newest; `revision` None: the one in force.

    Raises DomainError for what names nothing: no parts, an empty part, a time without zone, a revision below one.
    """

    parts: tuple[str, ...]
    at: datetime | None = None
    revision: int | None = None

    def __post_init__(self) -> None:
        if not self.parts or not all(self.parts) or any(_NO_TEXT.search(part) for part in self.parts):
            raise DomainError(f"{'/'.join(self.parts)!r} names no number; one is named like {EXAMPLE}.")
        if self.at is not None and self.at.tzinfo is None:
            raise DomainError(f"The time {self.at} has no zone; write it like 2026-11-22T09:00:00Z.")
        if self.revision is not None and not 0 < self.revision <= _LARGEST_REVISION:
            raise DomainError(f"There is no revision {self.revision}; the first one is #1.")

    @property
    def kind(self) -> str:
        """What it is a number of: stream, node, agreement, sensor, lot …"""
        return self.parts[0]

    def part(self, index: int) -> str | None:
        """One part, None where the address is shorter."""
        return self.parts[index] if index < len(self.parts) else None

    def at_time(self, at: datetime | None, revision: int | None = None) -> Address:
        """The same number at another time."""
        return replace(self, at=at, revision=revision)

    def __str__(self) -> str:
        return format_address(self)


def format_address(address: Address) -> str:
    """The one text of an address; `parse_address` gives the same address back."""
    text = "/".join(quote(part, safe=_PLAIN) for part in address.parts)
    if address.at is not None:
        text += "@" + address.at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return text if address.revision is None else f"{text}#{address.revision}"


def parse_address(text: str, zone: str = "UTC") -> Address:
    """The address that a person or a page wrote; a time without offset is of `zone`. DomainError that says what is wrong."""
    named, hash_, revision = text.strip().partition("#")
    name, at_, at = named.partition("@")
    parts = tuple(unquote(part) for part in name.strip().strip("/").split("/"))
    return Address(parts, _instant(at, zone) if at_ else None, _revision(revision) if hash_ else None)


def _instant(text: str, zone: str) -> datetime | None:
    text = unquote(text).strip()
    # an offset's plus that went through a form comes as a space
    text = re.sub(r"(?<=\d) (?=\d\d:?\d\d$)", "+", text) if "T" in text else text
    if text in ("", "latest", "now"):
        return None
    try:
        return understood(text, zone, "The time after @")
    except (ConfigurationError, OverflowError) as error:
        raise DomainError(str(error)) from error


def _revision(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise DomainError(f"The revision after # is {text!r}; it is a number, from 1 on.")
    return int(text)

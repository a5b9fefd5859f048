"""Where each lot is, from scans alone.

A lot is where it was last read, by the time of the reading itself, whatever order the scans arrived in and however
often one was delivered. Many reads at one place are one stay. A reader that nobody placed gives the honest answer
"place unknown", with the last known place beside it; so does a lot that was never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Term, Uncertain, weighted_sum

LEAVING_STEPS = frozenset({"departing", "shipping"})
"""Business steps (EPCIS CBV 2.0 names) after which a lot is on its way."""

ENDING_STEPS = frozenset({"decommissioning", "destroying"})
"""Business steps (EPCIS CBV 2.0 names) after which a lot is no more."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One read of one code. ``place`` None: the reader has no known place. Raises ModelError for a naive time."""

    read_at: datetime
    code: str
    place: str | None
    step: str = ""
    reader: str = ""

    def __post_init__(self) -> None:
        if self.read_at.tzinfo is None:
            msg = f"scan of {self.code} at {self.read_at} has no time zone; give UTC"
            raise ModelError(msg)

    @property
    def order(self) -> tuple[datetime, str, str, str]:
        """Sorting key: measured time, then place, step and reader, so that ties fall the same way every time."""
        return (self.read_at, self.place or "", self.step, self.reader)


@dataclass(frozen=True, slots=True)
class Stay:
    """A run of reads of one code at one place and in one step, nothing read elsewhere between."""

    code: str
    place: str | None
    step: str
    from_at: datetime
    last_seen_at: datetime
    reads: int


class Custody(StrEnum):
    """What can be said about a lot's place."""

    AT_PLACE = "at_place"
    IN_TRANSIT = "in_transit"
    ENDED = "ended"
    PLACE_UNKNOWN = "place_unknown"


@dataclass(frozen=True, slots=True)
class Lot:
    """A known code; ``mass`` in kg, None when it was never weighed; ``scale`` is what weighed it."""

    code: str
    mass: Uncertain | None = None
    scale: str = ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where one code is. ``place`` is where it is (AT_PLACE), was sent from (IN_TRANSIT) or ended (ENDED), else None.

    ``known_code`` False: it was read, but no lot is registered under it. Times are None when it was never read.
    ``last_known_place`` is the last place that has a name, with the time it was last read there.
    """

    code: str
    known_code: bool
    custody: Custody
    place: str | None
    since_at: datetime | None
    last_seen_at: datetime | None
    last_known_place: str | None
    last_known_at: datetime | None
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """All lots of one custody and place: how many, their mass in kg, and how many of them were never weighed."""

    custody: Custody
    place: str | None
    lots: int
    mass: Uncertain
    unweighed: int


def stays_by_code(scans: Iterable[Scan]) -> dict[str, tuple[Stay, ...]]:
    """Return each code's stays in time order; any order of arrival and any repetition of a scan give the same."""
    by_code: dict[str, list[Scan]] = {}
    for scan in set(scans):
        by_code.setdefault(scan.code, []).append(scan)
    return {code: _collapsed(by_code[code]) for code in sorted(by_code)}


def locate(scans: Iterable[Scan], lots: Mapping[str, Lot]) -> dict[str, Whereabouts]:
    """Return where every lot and every code read is, sorted by code. ``lots`` maps codes to what is known of them."""
    stays = stays_by_code(scans)
    return {code: _whereabouts(code, stays.get(code, ()), code in lots) for code in sorted({*stays, *lots})}


def holdings(whereabouts: Mapping[str, Whereabouts], lots: Mapping[str, Lot]) -> tuple[Holding, ...]:
    """Return the lots' mass per custody and place, sorted; masses by one scale share its systematic error.

    Codes without a lot carry no mass and are counted as unweighed.
    """
    groups: dict[tuple[Custody, str | None], list[Lot]] = {}
    for code, where in whereabouts.items():
        groups.setdefault((where.custody, where.place), []).append(lots.get(code, Lot(code)))
    return tuple(_holding(key, groups[key]) for key in sorted(groups, key=lambda key: (key[0], key[1] or "")))


def _collapsed(scans: list[Scan]) -> tuple[Stay, ...]:
    stays: list[Stay] = []
    for scan in sorted(scans, key=lambda scan: scan.order):
        last = stays[-1] if stays else None
        if last is not None and (last.place, last.step) == (scan.place, scan.step):
            stays[-1] = Stay(last.code, last.place, last.step, last.from_at, scan.read_at, last.reads + 1)
        else:
            stays.append(Stay(scan.code, scan.place, scan.step, scan.read_at, scan.read_at, 1))
    return tuple(stays)


def _whereabouts(code: str, stays: tuple[Stay, ...], known_code: bool) -> Whereabouts:
    named = next((stay for stay in reversed(stays) if stay.place is not None), None)
    last = stays[-1] if stays else None
    return Whereabouts(
        code=code,
        known_code=known_code,
        custody=_custody(last),
        place=last.place if last else None,
        since_at=_since(stays),
        last_seen_at=last.last_seen_at if last else None,
        last_known_place=named.place if named else None,
        last_known_at=named.last_seen_at if named else None,
        stays=stays,
    )


def _custody(last: Stay | None) -> Custody:
    if last is None:
        return Custody.PLACE_UNKNOWN
    if last.step in ENDING_STEPS:
        return Custody.ENDED
    if last.step in LEAVING_STEPS:
        return Custody.IN_TRANSIT
    return Custody.PLACE_UNKNOWN if last.place is None else Custody.AT_PLACE


def _since(stays: tuple[Stay, ...]) -> datetime | None:
    """Start of the unbroken run of stays that end the trace at one place and in one custody."""
    since = None
    for stay in reversed(stays):
        if (stay.place, _custody(stay)) != (stays[-1].place, _custody(stays[-1])):
            break
        since = stay.from_at
    return since


def _holding(key: tuple[Custody, str | None], lots: list[Lot]) -> Holding:
    weighed = [Term(lot.mass, lot.scale or f"lot:{lot.code}") for lot in lots if lot.mass is not None]
    return Holding(key[0], key[1], len(lots), weighted_sum(weighed), len(lots) - len(weighed))

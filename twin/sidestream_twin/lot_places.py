"""What a scan says about a place, and what lies at a node step by step. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil, sqrt

from sidestream_store.twin.hub import HubLotType, HubNode, HubSensor
from sidestream_store.twin.lots import Held, LotRow, LotScan, LotStay
from sidestream_store.twin.values import StepValue
from sidestream_twin.core.custody import Lot, Scan, Stay, locate
from sidestream_twin.core.quality import Origin
from sidestream_twin.steps import Span


@dataclass(frozen=True, slots=True)
class PlaceRules:
    """Where a read code is.

    A fixed tag is where it is mounted, whoever reads it. A lot is where its reader stands. Any other code tells no place
    where the hub has fixed tags, since its readers then move about; else it, too, is where its reader stands.
    """

    scanners: Mapping[int, HubSensor]
    lot_types: Sequence[HubLotType]
    mounted: Mapping[str, str]
    fixed_tags: bool

    def lot_type(self, code: str) -> HubLotType | None:
        """The type with the longest prefix that fits; a fixed tag is no lot."""
        fitting = [t for t in self.lot_types if code.startswith(t.prefix) and code not in self.mounted]
        return max(fitting, key=lambda t: (len(t.prefix), t.id), default=None)

    def place(self, code: str, sensor_id: int) -> str | None:
        """Node at which a read of `code` by this sensor finds it; None: not known."""
        if code in self.mounted:
            return self.mounted[code]
        reader = self.scanners.get(sensor_id)
        if reader is None or (self.fixed_tags and self.lot_type(code) is None):
            return None
        return reader.node


def trace(scans: Sequence[LotScan], rules: PlaceRules) -> tuple[list[LotRow], list[LotStay]]:
    """Where each code that was read is and has been; the same whatever order the reads came in."""
    reads = [Scan(s.read_at, s.code, rules.place(s.code, s.sensor_id), reader=str(s.sensor_id)) for s in scans]
    types = {scan.code: rules.lot_type(scan.code) for scan in scans}
    lots, stays = [], []
    for code, where in locate(reads, {code: Lot(code) for code, kind in types.items() if kind}).items():
        if where.since_at is None or where.last_seen_at is None:
            continue
        kind = types[code]
        count = sum(stay.reads for stay in where.stays)
        lots.append(LotRow(code, kind.id if kind else None, where.place, where.since_at, where.last_seen_at, count))
        stays.extend(_rows(where.stays))
    return lots, stays


def _rows(stays: Sequence[Stay]) -> list[LotStay]:
    """One row for each instant at which a stay begins: of two reads at the very same moment the later in order counts."""
    begun = list({stay.from_at: stay for stay in stays}.values())
    ends: list[datetime | None] = [following.from_at for _, following in pairwise(begun)]
    return [
        LotStay(stay.code, stay.from_at, stay.last_seen_at, left_at, stay.place, stay.reads)
        for stay, left_at in zip(begun, [*ends, None], strict=True)
    ]


def step_of(at: datetime, step_s: int) -> int:
    """The step at whose end an event of this instant shows: a step holds (start, end]."""
    return ceil(at.timestamp() / step_s) - 1


@dataclass(frozen=True, slots=True)
class Holdings:
    """Mass and number of lots at a node, for each step at whose end they differ from the one before."""

    mass: list[StepValue]
    count: list[StepValue]


def holdings(node: HubNode, held: Sequence[Held], types: Mapping[str, HubLotType], span: Span, step_s: int) -> Holdings:
    """What lay at the node at the end of each step of the span in which something came or went.

    `held` must have all that was there at the start of the span or later. The mass is of nominal masses, so estimated;
    things of no type have no mass, and are said to be unweighed.
    """
    changes: dict[int, dict[str | None, int]] = defaultdict(lambda: defaultdict(int))
    for lot in held:
        changes[max(step_of(lot.from_at, step_s), span.first - 1)][lot.lot_type] += 1
        if lot.left_at is not None:
            changes[step_of(lot.left_at, step_s)][lot.lot_type] -= 1
    present: dict[str | None, int] = defaultdict(int)
    found = Holdings([], [])
    for step in sorted(step for step in changes if step < span.stop):
        for kind, change in changes[step].items():
            present[kind] += change
        if step >= span.first and any(changes[step].values()):
            mass, count = _values(node, present, types, step)
            found.mass.append(mass)
            found.count.append(count)
    return found


def _values(
    node: HubNode, present: Mapping[str | None, int], types: Mapping[str, HubLotType], step: int
) -> tuple[StepValue, StepValue]:
    weighed = {kind: n for kind, n in present.items() if kind in types}
    lots = sum(present.values())
    unweighed = lots - sum(weighed.values())
    mass = sum(types[kind].mass_kg * n for kind, n in sorted(weighed.items()) if kind)
    variance = sum(types[kind].sd_kg ** 2 * n for kind, n in sorted(weighed.items()) if kind)
    share = 1.0 if lots == 0 else (lots - unweighed) / lots
    flags = (("unweighed",) if unweighed else ()) + _limits(node, mass)
    nothing_known = lots > 0 and unweighed == lots
    origin = str(Origin.ESTIMATED)
    return (
        StepValue(step, None, None, None, origin, share, lots, ("unweighed",))
        if nothing_known
        else StepValue(step, mass, sqrt(variance), 0.0, origin, share, lots, flags),
        StepValue(step, float(lots), 0.0, 0.0, str(Origin.MEASURED), 1.0, lots),
    )


def _limits(node: HubNode, mass_kg: float) -> tuple[str, ...]:
    if node.max_kg is not None and mass_kg > node.max_kg:
        return ("overflow",)
    return ("run_dry",) if node.min_kg is not None and mass_kg < node.min_kg else ()

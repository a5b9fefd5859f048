"""Big bags on their way: bag store → gate → (lorry) → yard → mixer. Each hand-over is a scan.

Bags stand in line at each place, oldest first. One lorry runs to and fro; the mixer eats a bag whenever its time has
come and the yard keeps a small reserve.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from sidestream_simulators.physics import Lot, Scan

CODE_PREFIX = "SS-BAG-"
LORRY_BAGS = 4
HANDLING_S = 1.5  # between two bags when loading or unloading
DRIVE_S = 12.0
USE_EVERY_S = 9.5  # a little faster than bags are filled, so the yard does not grow for ever
YARD_RESERVE = 3
USED_AT = "mixer"

Moved = defaultdict[str, float]
"""Kilograms that bags carried along each stream in the running step."""


@dataclass(frozen=True, slots=True)
class Bag:
    """A closed bag."""

    code: str
    mass_kg: float


class BagYard:
    """Every bag not yet used and the lorry that moves them; places are node ids."""

    def __init__(self, lots: Mapping[str, Lot]) -> None:
        self._at: dict[str, deque[Bag]] = {place: deque() for place in ("bag-store", "gate", "yard")}
        for code, lot in sorted(lots.items()):
            if lot.place in self._at:
                self._at[lot.place].append(Bag(code, lot.mass_kg))
        self._next_serial = 1 + max((int(code.removeprefix(CODE_PREFIX)) for code in lots), default=0)
        self._loading = not self._at["gate"]
        self._lorry_wait_s = 0.0 if self._loading else DRIVE_S
        self._use_wait_s = USE_EVERY_S

    def add(self, mass_kg: float) -> Scan:
        """A newly filled bag enters the bag store; its code was never used before."""
        bag = Bag(f"{CODE_PREFIX}{self._next_serial:06d}", mass_kg)
        self._next_serial += 1
        self._at["bag-store"].append(bag)
        return Scan("bag-store", bag.code, bag.mass_kg)

    def step(self, dt_s: float, moved: Moved) -> list[Scan]:
        """Let `dt_s` pass; kilograms that changed place join `moved` by stream."""
        self._lorry_wait_s -= dt_s
        self._use_wait_s -= dt_s
        return [*self._lorry(moved), *self._use(moved)]

    def stock_kg(self) -> dict[str, float]:
        """Kilograms of bags at each place."""
        return {place: sum(bag.mass_kg for bag in bags) for place, bags in self._at.items()}

    def lots(self) -> dict[str, Lot]:
        """Every bag that is not yet used, by code."""
        return {bag.code: Lot(place, bag.mass_kg) for place, bags in self._at.items() for bag in bags}

    def _lorry(self, moved: Moved) -> list[Scan]:
        if self._lorry_wait_s > 0:
            return []
        if self._loading:
            return self._load(moved)
        return self._unload(moved)

    def _load(self, moved: Moved) -> list[Scan]:
        waiting, on_board = self._at["bag-store"], self._at["gate"]
        if not on_board and len(waiting) < LORRY_BAGS:
            return []
        scan = self._move("bag-store", "gate", "bags-out", moved)
        self._loading = len(on_board) < LORRY_BAGS and bool(waiting)
        self._lorry_wait_s = HANDLING_S if self._loading else DRIVE_S
        return [scan]

    def _unload(self, moved: Moved) -> list[Scan]:
        scan = self._move("gate", "yard", "bags-delivered", moved)
        self._loading = not self._at["gate"]
        self._lorry_wait_s = DRIVE_S if self._loading else HANDLING_S
        return [scan]

    def _use(self, moved: Moved) -> list[Scan]:
        if self._use_wait_s > 0 or len(self._at["yard"]) <= YARD_RESERVE:
            return []
        self._use_wait_s = USE_EVERY_S
        bag = self._at["yard"].popleft()
        moved["bags-used"] += bag.mass_kg
        return [Scan(USED_AT, bag.code, bag.mass_kg)]

    def _move(self, source: str, target: str, stream: str, moved: Moved) -> Scan:
        bag = self._at[source].popleft()
        self._at[target].append(bag)
        moved[stream] += bag.mass_kg
        return Scan(target, bag.code, bag.mass_kg)

"""Which stream and which node takes part in which balance: the one rule that the check of hub.yaml and the twin share.

Mass is balanced for each family of materials, energy for heat and electricity together, since both are watts and a heat
pump or power unit turns one into the other.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

Domain = Literal["mass", "energy"]

MASS_ROLES = frozenset({"mass_flow", "mass_register", "weighing"})
"""Roles of sensors that tell how much mass a stream carries."""
ENERGY_ROLES = frozenset({"power", "energy_register", "volume_flow", "volume_register"})
"""Roles of sensors that tell, alone or with temperatures, how much heat or electricity a stream carries."""

_ENERGY_PHASES = frozenset({"water", "heat", "steam", "electricity"})
_MASS_PHASES = frozenset({"solid", "sludge", "liquid", "gas", "item"})
_QUARTER_S = 900
_CLOSED = frozenset({"junction", "exchanger", "stock", "store"})
_BOTH: frozenset[Domain] = frozenset({"mass", "energy"})


def domains(phase: str | None, roles: Collection[str]) -> frozenset[Domain]:
    """The balances that a stream of this phase takes part in, given the roles of its sensors.

    What a meter tells counts, whatever the phase. Water without any meter may carry either.
    """
    mass, energy = not MASS_ROLES.isdisjoint(roles), not ENERGY_ROLES.isdisjoint(roles)
    found: set[Domain] = set()
    if energy or (phase in _ENERGY_PHASES and not mass):
        found.add("energy")
    if mass or phase in _MASS_PHASES or (phase == "water" and not energy):
        found.add("mass")
    return frozenset(found)


def conserved(kind: str, said: Collection[Domain] | None) -> frozenset[Domain]:
    """What neither comes nor goes unseen at a node of this kind, where its `conserves` says so, or nothing."""
    if said is not None:
        return frozenset(said)
    return _BOTH if kind in _CLOSED else frozenset()


def interval_s(step_s: int, said: int | None) -> int:
    """Length of the intervals over which balances are closed: as said, or a quarter of an hour in whole steps."""
    return said if said is not None else -(-_QUARTER_S // step_s) * step_s

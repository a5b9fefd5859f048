"""Flows and temperatures reconciled together: mass and energy close over every node, meters move the least.

Energy is flow times enthalpy, so the balances are bilinear; each step of ``solve`` is a linear reconciliation
(``core.reconcile``) of the balances as they lie at the last estimate, and at the solution that linear problem is what
classes, deviations and tests come from.

| module | idea |
|---|---|
| `network` | streams, junctions, exchangers, pipes, users of heat; what is well formed |
| `balances` | the equations of a network, with their slopes |
| `start` | a first guess of what no meter tells |
| `solve` | successive linearisation until the balances close |
"""

from sidestream_twin.core.energy_reconcile.network import (
    Duty,
    EnergyNetwork,
    Exchanger,
    HeatedStream,
    Junction,
    Pipe,
    ThroughSide,
)
from sidestream_twin.core.energy_reconcile.solve import EnergyEstimate, reconcile_energy

__all__ = [
    "Duty",
    "EnergyEstimate",
    "EnergyNetwork",
    "Exchanger",
    "HeatedStream",
    "Junction",
    "Pipe",
    "ThroughSide",
    "reconcile_energy",
]

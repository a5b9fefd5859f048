"""Sizes of pre-insulated district-heating pipes, and which one a flow needs.

Steel pipe and casing diameters of EN 253, insulation series 1, with common wall thicknesses. A pipe is wide enough when
friction takes no more than a usual pressure gradient (Darcy–Weisbach with a friction factor of 0.02).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi, sqrt

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.pipe import Insulation

MOST_PA_M = 150.0
_FRICTION = 0.02
_DENSITY_KG_M3 = 980.0


@dataclass(frozen=True, slots=True)
class PipeSize:
    """One nominal size: outer diameter and wall of the steel pipe, outer diameter of the casing, m."""

    nominal: int
    outer_m: float
    wall_m: float
    casing_m: float

    @property
    def most_kg_s(self) -> float:
        """The flow at which friction takes the most that is usual."""
        bore = self.outer_m - 2 * self.wall_m
        speed = sqrt(2 * MOST_PA_M * bore / (_FRICTION * _DENSITY_KG_M3))
        return speed * _DENSITY_KG_M3 * pi / 4 * bore**2

    def insulation(self, conductivity_w_mk: float) -> Insulation:
        """The layer between steel and casing; the casing's own resistance is left out."""
        return Insulation(self.outer_m, self.casing_m, conductivity_w_mk)


SIZES = tuple(
    PipeSize(nominal, outer / 1e3, wall / 1e3, casing / 1e3)
    for nominal, outer, wall, casing in (
        (20, 26.9, 2.6, 90), (25, 33.7, 2.6, 90), (32, 42.4, 2.6, 110), (40, 48.3, 2.6, 110), (50, 60.3, 2.9, 125),
        (65, 76.1, 2.9, 140), (80, 88.9, 3.2, 160), (100, 114.3, 3.6, 200), (125, 139.7, 3.6, 225),
        (150, 168.3, 4.0, 250), (200, 219.1, 4.5, 315), (250, 273.0, 5.0, 400), (300, 323.9, 5.6, 450),
        (400, 406.4, 6.3, 560),
    )
)  # fmt: skip


def pipe_for(mass_flow_kg_s: float) -> tuple[PipeSize, int]:
    """Return the smallest size that carries a flow, and how many of the largest side by side where one is too few."""
    if not 0 <= mass_flow_kg_s < float("inf"):
        raise ModelError(f"no pipe carries {mass_flow_kg_s} kg/s; give a flow of zero or more")
    fitting = next((size for size in SIZES if size.most_kg_s >= mass_flow_kg_s), None)
    return (fitting, 1) if fitting else (SIZES[-1], ceil(mass_flow_kg_s / SIZES[-1].most_kg_s))

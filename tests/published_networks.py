"""Problems whose answers were published, and dense textbook formulas to compare with; see each for its source.

Protocol: do Valle, Kalid, Secchi, Kiperstok, Comput. Chem. Eng. 2018, doi 10.1016/j.compchemeng.2018.01.002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.reconcile import LinearSystem, Stream, network
from sidestream_twin.core.uncertain import Uncertain


@dataclass(frozen=True)
class Problem:
    """Nodes list their streams by number: in +, out −."""

    nodes: dict[str, tuple[int, ...]]
    values: tuple[float, ...]
    sds: tuple[float, ...]

    def streams(self, measured=None) -> list[Stream]:
        into = {each: node for node, listed in self.nodes.items() for each in listed if each > 0}
        out_of = {-each: node for node, listed in self.nodes.items() for each in listed if each < 0}
        values = self.values if measured is None else measured
        return [
            Stream(str(at), out_of.get(at), into.get(at), None if value is None else Uncertain(value, sd, 0.0))
            for at, (value, sd) in enumerate(zip(values, self.sds, strict=True), start=1)
        ]

    def system(self, measured=None) -> LinearSystem:
        return network(self.streams(measured))

    def incidence(self) -> np.ndarray:
        matrix = np.zeros((len(self.nodes), len(self.values)))
        for row, listed in enumerate(self.nodes.values()):
            for each in listed:
                matrix[row, abs(each) - 1] = np.sign(each)
        return matrix


P4 = Problem(  # exchanger with bypass: Narasimhan & Jordache 2000; true flows
    {"splitter": (1, -2, -3), "exchanger": (2, -4), "bypass": (3, -5), "mixer": (4, 5, -6)},
    (100.0, 64.0, 36.0, 64.0, 36.0, 100.0),
    (1.0,) * 6,
)
P4_MEASURED = (101.91, 64.45, 34.65, 64.20, 36.44, 98.88)
P4_RECONCILED = (100.22, 64.50, 35.72, 64.50, 35.72, 100.22)
P6 = Problem(  # recycle: Rosenberg, Mah, Iordache 1987; true flows
    {"a": (1, -2, 4, 6), "b": (2, -3), "c": (3, -4, -5), "d": (5, -6, -7)},
    (5.0, 15.0, 15.0, 5.0, 10.0, 5.0, 5.0),
    (1.0,) * 7,
)
P10 = Problem(  # a plant's water balance: Martins 2010; real measurements
    {
        "a": (1, -2, -3, -4, -5),
        "b": (2, -8),
        "c": (3, -9),
        "d": (4, -6, -7),
        "e": (5, 11, -12),
        "f": (6, -10),
        "g": (7, -11),
        "h": (8, 9, 10, -13),
    },
    (28.06, 3.06, 5.28, 8.89, 11.39, 3.89, 4.17, 2.78, 5.83, 4.44, 3.89, 15.0, 13.33),
    (0.275, 0.050, 0.172, 0.145, 0.372, 0.127, 0.136, 0.045, 0.095, 0.073, 0.064, 0.147, 0.131),
)


def dense_estimate(matrix, measured, sds, totals=None):
    """Adjustment a = V Aᵀ(A V Aᵀ)⁻¹(A y − b) and its covariance W, all measured, by the published formula."""
    variance = np.diag(np.square(sds))
    gain = variance @ matrix.T @ np.linalg.pinv(matrix @ variance @ matrix.T)
    missed = matrix @ measured - (0.0 if totals is None else totals)
    return gain @ missed, gain @ matrix @ variance

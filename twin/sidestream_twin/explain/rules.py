"""How each kind of number follows from its inputs, in words, with the source of the formula. Pure."""

from __future__ import annotations

from sidestream_twin.explain.tree import Rule

_GUM = "JCGM 100:2008 (GUM)"

READING = Rule(
    "reading",
    "As the device measured it, in the sensor's unit, with the corrections in force applied. The systematic deviation is the "
    "class limit/√3, the random one as stated in hub.yaml.",
    f"{_GUM}, 4.3.7",
)
ENTRY = Rule(
    "entry",
    "As a person counted, weighed or read it; the deviation is what that person gave, where given.",
    "the entry",
)
FIGURES = {
    "rate": Rule(
        "rate",
        "Mean over the step: trapezoids between neighbouring readings that lie no further apart than the longest gap; what was "
        "not seen is taken at the mean of what was, and widens the deviation.",
        f"trapezoidal rule; deviations {_GUM}, 5.1.2 and 5.2.2",
    ),
    "heat": Rule(
        "heat",
        "Heat from supplier to receiver: density(T at the meter) · volume flow · (enthalpy of the supply - enthalpy of the return), "
        "mean over the step by trapezoids.",
        f"IAPWS-IF97 for density and enthalpy, EN 1434-1 for the meter's place; deviations {_GUM}, 5.1.2",
    ),
    "register": Rule(
        "register",
        "Rise of the meter's register between the step's bounds, each read off between its neighbouring readings, per second.",
        f"difference of a counter; deviations {_GUM}, 5.2.2",
    ),
    "register_heat": Rule(
        "register_heat",
        "Energy from the rise of the volume register and the mean temperatures that the two volume-weighted registers tell, per second.",
        "EN 1434-1, IAPWS-IF97; registers E8 and E9 of the meter",
    ),
    "pipe_loss": Rule(
        "pipe_loss",
        "Conductance per metre · length · (supply + return - twice the temperature around the pipes), at the meter's mean "
        "temperatures of the step; not measured.",
        "EN 13941, ISO 12241: heat loss of a pair of buried pipes",
    ),
}
SUM = Rule(
    "sum",
    "Sum over the steps of mean flow · length of step. Random deviations add in quadrature, systematic ones linearly, because one "
    "meter keeps its error.",
    f"{_GUM}, 5.1.2 and 5.2.2",
)
ROLLUP = {
    "1m": Rule(
        "rollup_1m", "Mean of the usable readings of the minute, added up in the order of time.", "arithmetic mean"
    ),
    "1h": Rule("rollup_1h", "Mean of the minutes, each weighted with its number of readings.", "weighted mean"),
    "1d": Rule(
        "rollup_1d", "Mean of the hours of the hub's day, each weighted with its number of readings.", "weighted mean"
    ),
}
STOCK = Rule(
    "stock",
    "Mass carried on from the step before by what flowed in and out, then corrected by what was seen, weighed by how sure each is; "
    "each instrument's bias is learned beside it.",
    "Kalman filter with the instruments' biases as states; ADR 0016",
)
LOTS_MASS = Rule(
    "lots_mass",
    "Number of lots at the node at the end of the step · nominal mass of their type. Each lot's deviation is its own, so they add "
    "in quadrature.",
    f"{_GUM}, 5.1.2",
)
LOTS_COUNT = Rule("lots_count", "Number of lots at the node at the end of the step.", "counting")
PLACE = Rule(
    "place",
    "Where its last usable read was: a fixed tag is where it is mounted, a lot where its reader stands. Reads at one place, one "
    "after another, are one stay.",
    "after EPCIS 2.0 (GS1), object events",
)
AGREEMENT = Rule(
    "agreement",
    "What was delivered in the period, against the even share of what was agreed so far, with its tolerance; breached only when the "
    "period is over and the figure is outside by more than two standard deviations; unknown where too little was measured.",
    "the agreement in hub.yaml",
)
FORECAST = Rule(
    "forecast",
    "First crossing of the limit by the mass now, carried on with the flows' pattern, what was agreed and what is planned to stand "
    "still; quantiles of that time.",
    "first passage of a random walk with drift; see the twin's DESIGN",
)

"""Heat networks to reconcile: the published one, and a small district-heating network with a plant and three consumers."""

from __future__ import annotations

from sidestream_twin.core.energy_reconcile import (
    Duty,
    EnergyNetwork,
    Exchanger,
    HeatedStream,
    Junction,
    Pipe,
    ThroughSide,
)
from sidestream_twin.core.heat.fluid import LiquidWater, Polynomial
from sidestream_twin.core.uncertain import Uncertain

SWARTZ_ENTHALPY = {
    "A": (-6.8909, 0.0991, 1.1081e-4),
    "B": (-14.8538, 0.1333, 7.539e-5),
    "C": (-28.2807, 0.1385, 9.043e-5),
    "D": (-11.4172, 0.1229, 7.94e-5),
}
SWARTZ_FLOWS = {"A1": 1000, "A3": 401.7, "A6": 552.7, "B1": 253.2, "C1": 308.1, "D2": 680.1}
SWARTZ_TEMPERATURES = {
    "A1": 466.33, "A3": 481.78, "A4": 530.09, "A5": 616.31, "A7": 619, "A8": 614.92,
    "B1": 618.11, "C1": 694.99, "D1": 667.84, "D2": 558.34,
}  # fmt: skip
SWARTZ_STREAMS = {
    "A1": (None, "X1"), "A2": ("X1", "S"), "A3": ("S", "X2"), "A4": ("X2", "X3"), "A5": ("X3", "M"), "A6": ("S", "X4"),
    "A7": ("X4", "M"), "A8": ("M", None), "B1": (None, "X2"), "B2": ("X2", "X1"), "B3": ("X1", None),
    "C1": (None, "X3"), "C2": ("X3", None), "D1": (None, "X4"), "D2": ("X4", None),
}  # fmt: skip
SWARTZ_SIDES = {
    "X1": (("A1", "A2"), ("B2", "B3")),
    "X2": (("A3", "A4"), ("B1", "B2")),
    "X3": (("A4", "A5"), ("C1", "C2")),
    "X4": (("A6", "A7"), ("D1", "D2")),
}
SWARTZ_FOUND = {
    "flow of A1": 963.63, "flow of A3": 407.86, "flow of A6": 555.77, "flow of D2": 689.42,
    "temperature of A5": 615.51, "temperature of A7": 617.76, "temperature of A8": 616.81,
    "temperature of B2": 543.90, "temperature of B3": 486.51, "temperature of C2": 594.80,
}  # fmt: skip


def swartz(*, flow_unit=1.0, heat_unit=1.0, kelvin=1.0, backwards=False) -> EnergyNetwork:
    """Swartz (1989), four exchangers; in other units, or with everything given in the other order."""

    def measured(value, sd, unit):
        return None if value is None else Uncertain(value * unit, sd * unit)

    streams = []
    for name, (source, target) in SWARTZ_STREAMS.items():
        h = tuple(heat_unit * c / kelvin**n for n, c in enumerate(SWARTZ_ENTHALPY[name[0]]))
        flow, t = SWARTZ_FLOWS.get(name), SWARTZ_TEMPERATURES.get(name)
        fluid = Polynomial(name[0], h, 0.0)
        given = measured(flow, 0.02 * (flow or 0), flow_unit), measured(t, 0.75, kelvin)
        streams.append(HeatedStream(name, source, target, fluid, *given))
    nodes = [Exchanger(name, tuple(ThroughSide(*side) for side in sides)) for name, sides in SWARTZ_SIDES.items()]
    nodes += [Junction("S"), Junction("M")]
    turn = -1 if backwards else 1
    return EnergyNetwork(tuple(streams[::turn]), tuple(nodes[::turn]))


def swartz_file() -> dict:
    """The same as a file for `sidestream heat reconcile`."""
    streams = []
    for name, (source, target) in SWARTZ_STREAMS.items():
        given = {"flow": SWARTZ_FLOWS.get(name), "temperature": SWARTZ_TEMPERATURES.get(name)}
        streams.append(
            {"id": name, "from": source, "to": target, "fluid": name[0]} | {k: v for k, v in given.items() if v}
        )
    exchangers = [
        {"id": name, "kind": "exchanger", "sides": [{"in": a, "out": b} for a, b in sides]}
        for name, sides in SWARTZ_SIDES.items()
    ]
    return {
        "units": {"temperature": "K"},
        "flow_sd_pct": 2,
        "temperature_sd": 0.75,
        "fluids": [{"id": k, "kind": "polynomial", "coefficients": list(h)} for k, h in SWARTZ_ENTHALPY.items()],
        "streams": streams,
        "nodes": [*exchangers, {"id": "S", "kind": "splitter"}, {"id": "M", "kind": "mixer"}],
    }


GROUND_K = 281.15
DISTRICT_PIPES = {  # from, to, m
    "pa_s": ("plant", "a_s", 600), "ab_s": ("a_s", "b", 450), "ac_s": ("a_s", "c_s", 900), "cd_s": ("c_s", "d", 300),
    "pa_r": ("a_r", "plant", 600), "ab_r": ("b", "a_r", 450), "ac_r": ("c_r", "a_r", 900), "cd_r": ("d", "c_r", 300),
}  # fmt: skip


def district(flows, temperatures, heats, u_w_mk, fluid=None) -> EnergyNetwork:
    """Plant, consumers b, c, d; each pipe x has streams x_in and x_out; c taps through c_in, c_out.

    ``u_w_mk`` is an Uncertain for all pipes, or None.
    """
    fluid = fluid or LiquidWater()

    def stream(name, source, target):
        return HeatedStream(name, source, target, fluid, flows.get(name), temperatures.get(name))

    streams = [stream("c_in", "c_s", "c"), stream("c_out", "c", "c_r")]
    nodes = [Junction(name) for name in ("a_s", "a_r", "c_s", "c_r")]
    nodes += [Duty(name, heats.get(name), name == "plant") for name in ("plant", "b", "c", "d")]
    for name, (source, target, length_m) in DISTRICT_PIPES.items():
        streams += [stream(f"{name}_in", source, name), stream(f"{name}_out", name, target)]
        nodes.append(Pipe(name, GROUND_K, u_w_mk and u_w_mk.scaled(length_m)))
    return EnergyNetwork(tuple(streams), tuple(nodes))


def district_known(fluid=None) -> EnergyNetwork:
    """Flows, plant temperature, duties and losses known exactly: everything else follows."""
    flows = {"pa_s_in": Uncertain(3.5), "ab_s_in": Uncertain(1.8), "cd_s_in": Uncertain(0.6)}
    heats = {"b": Uncertain(200e3), "c": Uncertain(95e3), "d": Uncertain(60e3)}
    return district(flows, {"pa_s_in": Uncertain(358.15)}, heats, Uncertain(0.22), fluid)

"""What is reported of heat, on made numbers whose answers are known. No database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_store.hub_marks import Marks, marks_of
from sidestream_store.read.heat import HeatSide, Need
from sidestream_store.twin.hub import HubAgreement, HubLoss, HubNode, HubSensor, HubStream, TwinHub
from sidestream_twin.core.heat.pipe import outlet_k
from sidestream_twin.core.water import liquid_table
from sidestream_twin.heat_report.heard import Energy, Grid, Heard, Means
from sidestream_twin.heat_report.report import HeatReport, heat_report

FROM = datetime(2026, 11, 20, tzinfo=UTC)
C = 273.15
HOURS = 4
TABLE = liquid_table(6e5)
PIPE = HubLoss(length_m=1000.0, u_w_m_k=0.5, surroundings_k=C + 5, sd_share=0.1)


def node(name: str, kind: str = "process", **more) -> HubNode:
    return HubNode(name, kind, None, None, None, None, None, None, **more)


def stream(name: str, source: str, target: str, parties=("a", "b"), phase="water", **more) -> HubStream:
    since = ((date(2020, 1, 1), "live"),)
    return HubStream(name, source, target, "m", phase, "supply", 6e5, *parties, since, **more)


class Made:
    """A hub and what was heard of it in four hours."""

    def __init__(self) -> None:
        self.nodes: list[HubNode] = []
        self.streams: list[HubStream] = []
        self.sensors: list[HubSensor] = []
        self.agreements: list[HubAgreement] = []
        self.energies: dict[tuple[str, str], Energy] = {}
        self.means: dict[str, Means] = {}
        self.paired: dict[tuple[str, str], float] = {}
        self.needs: dict[str, Need] = {}
        self.dumping: set[str] = set()

    def sensor(self, of: HubStream, role: str, quantity: str, value, party: str, limit: float) -> None:
        name = f"{of.id}-{role}-{party}"
        made = HubSensor(
            len(self.sensors), name, party, quantity, role, of.id, None, 1.0, 0.0, 0.0, limit, 0.0, 0.0, None, None, 1.0
        )
        self.sensors.append(made)
        self.means[name] = Means(made, np.broadcast_to(np.asarray(value, float), (HOURS,)), np.full(HOURS, 3600.0))

    def meter(self, of: HubStream, watts, warm_k=C + 70, cold_k=C + 40, party="a", *, end="", sure=True) -> None:
        """A heat meter; its flow follows from the heat."""
        watts, warm, cold = (np.broadcast_to(np.asarray(each, float), (HOURS,)) for each in (watts, warm_k, cold_k))
        per_kg = TABLE.enthalpy_j_kg(warm) - TABLE.enthalpy_j_kg(cold)
        limit = 0.0001 if sure else 0.3
        self.sensor(of, "volume_flow", "volume_flow", watts / per_kg / TABLE.density_kg_m3(warm), party, 1e-6)
        self.sensor(of, "supply_temperature", "temperature", warm, party, limit)
        self.sensor(of, "return_temperature", "temperature", cold, party, limit)
        self.energy(of, f"heat_flow{end}", watts)

    def energy(self, of: HubStream, quantity: str, watts, share: float = 0.01) -> None:
        watts = np.broadcast_to(np.asarray(watts, float), (HOURS,))
        known = np.isfinite(watts)
        seconds = np.where(known, 3600.0, 0.0)
        total = np.where(known, watts, 0.0) * 3600.0
        self.energies[of.id, quantity] = Energy(
            total, (0.001 * total) ** 2, share * abs(total), seconds, seconds,
            tuple("measured" if each else None for each in known),
        )  # fmt: skip

    def report(self) -> HeatReport:
        hub = TwinHub(
            1, "UTC", 60, tuple(self.nodes), tuple(self.streams), tuple(self.sensors), (), tuple(self.agreements), False
        )
        side = HeatSide(True, self.needs, frozenset(self.dumping), {})
        grid = Grid(FROM, FROM + timedelta(hours=HOURS), 3600)
        return heat_report(Heard(hub, side, grid, self.energies, self.means, self.paired))


def two_ends(given_w, taken_w, **meter) -> Made:
    """From plant through a pipe to a farm, a meter on either side of the pipe."""
    made = Made()
    made.nodes = [node("plant"), node("pipe", "junction", loss=PIPE), node("farm")]
    made.streams = [stream("out", "plant", "pipe"), stream("intake", "pipe", "farm", ("b", "b"))]
    made.meter(made.streams[0], given_w, **meter)
    made.meter(made.streams[1], taken_w, party="b", **meter)
    return made


@given(
    st.lists(st.floats(1e5, 2e6), min_size=HOURS, max_size=HOURS),
    st.floats(0.5, 1.0),
    st.floats(45, 90),
    st.floats(5, 30),
)
def test_energy_is_conserved_and_what_is_usable_was_there(given_w, share, warm_c, discard_c):
    made = two_ends(given_w, share * np.array(given_w), warm_k=C + warm_c)
    made.needs["farm"] = Need(C + 30, 5.0, C + discard_c, None)
    (told,) = made.report().exchanges
    parts = told.used.value + told.lost.value + told.dumped.value
    assert told.supplied.value == pytest.approx(parts, rel=1e-12)
    assert 0 <= told.usable.value <= told.used.value + told.dumped.value
    assert told.missed.value == pytest.approx(max(told.usable.value - told.used.value, 0), abs=1e-3)
    assert told.supplied.sd > 0


def test_heat_that_is_thrown_away_follows_from_the_return_temperature():
    made = two_ends(1e6, 0.9e6)
    made.needs["farm"] = Need(C + 20, 5.0, C + 10, None)
    (told,) = made.report().exchanges
    h70, h40, h25, h10 = TABLE.enthalpy_j_kg(np.array([70, 40, 25, 10]) + C)
    used = 0.9e6 * 3600 * HOURS
    assert told.used.value == pytest.approx(used)
    assert told.lost.value == pytest.approx(0.1e6 * 3600 * HOURS)
    assert told.lost.sd == pytest.approx(0.01 * 3600 * HOURS * np.hypot(1e6, 0.9e6), rel=0.01)
    assert told.dumped.value == pytest.approx(used * (h40 - h10) / (h70 - h40))
    assert told.usable.value == pytest.approx(used * (h70 - h25) / (h70 - h40))
    assert told.missed.value == pytest.approx(told.usable.value - used)
    assert told.used.completeness == 1.0
    assert told.used.origin == "measured"


def test_without_a_temperature_of_discard_nothing_is_called_dumped():
    (told,) = two_ends(1e6, 0.9e6).report().exchanges
    assert told.dumped.value is None
    assert "goes back" in told.dumped.why
    assert "lowest_c" in told.usable.why
    assert told.supplied.value == pytest.approx(told.used.value + told.lost.value)


def test_ends_are_compared_over_the_time_that_both_know():
    (told,) = two_ends(1e6, [0.9e6, 0.9e6, np.nan, np.nan]).report().exchanges
    assert told.supplied.value == pytest.approx(1e6 * 7200)
    assert told.lost.value == pytest.approx(0.1e6 * 7200)
    assert told.used.completeness == 0.5
    assert any(remark.startswith("2 h of out/heat_flow are left out") for remark in told.remarks)


def test_a_receiver_that_shows_more_than_was_given_is_a_wrong_meter():
    (told,) = two_ends(1e6, 1.2e6).report().exchanges
    assert told.lost.value < 0
    assert any("one of the meters is wrong" in remark for remark in told.remarks)


def test_a_single_meter_tells_the_other_end_through_the_pipes_design():
    made = Made()
    made.nodes = [node("plant"), node("school")]
    made.streams = [stream("heat", "plant", "school", meter_end="target", loss=PIPE)]
    made.meter(made.streams[0], 5e5)
    report = made.report()
    (told,) = report.exchanges
    lost = 0.5 * 1000 * (70 + 40 - 2 * 5) * 3600 * HOURS
    assert told.used.value == pytest.approx(5e5 * 3600 * HOURS)
    assert told.used.origin == "measured"
    assert told.lost.value == pytest.approx(lost)
    assert told.lost.sd == pytest.approx(0.1 * lost, rel=1e-3)
    assert told.supplied.value == pytest.approx(told.used.value + lost)
    assert told.supplied.origin == told.lost.origin == "estimated"
    (pipe,) = report.pipes
    assert pipe.lost_by_design.value == pytest.approx(lost)
    assert pipe.verdict is None
    assert "one end" in pipe.why


def test_what_is_not_metered_is_not_known_and_says_so():
    made = Made()
    made.nodes = [node("plant"), node("farm"), node("cooler", "border")]
    made.streams = [stream("heat", "plant", "farm"), stream("waste", "plant", "cooler", ("a", "a"))]
    made.dumping = {"cooler"}
    report = made.report()
    (told,) = report.exchanges
    assert told.supplied.value is None
    assert "no meter" in told.supplied.why
    assert "demand_kw" in told.coverage.demand.why
    assert "no meter" in report.dumps[0].dumped.why
    made.energy(made.streams[1], "heat_flow", 2e6)
    made.streams[0] = replace(made.streams[0], stages=((date(2020, 1, 1), "idea"),))
    made.sensor(made.streams[1], "energy_register", "energy", 0.0, "a", 1.0)
    assert made.report().exchanges[0].supplied.why == "the exchange is not live (idea)"


def test_supply_and_need_must_meet_at_the_same_time():
    made = two_ends([2e6, 0.0, 0.5e6, 1e6], [2e6, 0.0, 0.5e6, 1e6])
    made.needs["farm"] = Need(None, 0.0, None, 1e6)
    told = made.report().exchanges[0].coverage
    assert (told.covered_h, told.partly_h, told.unmet_h, told.surplus_h, told.unknown_h) == (2, 1, 1, 1, 0)
    assert told.demand.value == pytest.approx(told.covered.value + told.unmet.value)
    assert told.covered.value == pytest.approx(2.5e6 * 3600)
    assert told.surplus.value == pytest.approx(1e6 * 3600)
    assert told.covered_share == pytest.approx(2.5 / 4)


def test_an_agreement_is_a_need_spread_evenly_while_it_is_valid():
    made = two_ends(1e6, 0.9e6)
    agreed = HubAgreement("deal", "out", "energy", 24 * 3600 * 8e5, "day", 0.1, date(2026, 1, 1), None)
    made.agreements = [agreed]
    told = made.report().exchanges[0].coverage
    assert told.demand.value == pytest.approx(8e5 * 3600 * HOURS)
    assert told.demand.origin == "agreed"
    assert told.surplus.value == pytest.approx(2e5 * 3600 * HOURS)
    made.agreements = [replace(agreed, valid_from=date(2027, 1, 1))]
    assert made.report().exchanges[0].coverage.covered_share is None


@pytest.mark.parametrize(("acting", "verdict"), [(0.5, "as designed"), (1.5, "loses more than designed")])
def test_a_pipe_is_judged_by_the_thermometers_at_its_ends(acting, verdict):
    made = two_ends(1e6, 1e6)
    capacity = 1e6 / 30.0
    out_k, back_k = outlet_k(C + 70, C + 5, acting * 1000, capacity), outlet_k(C + 40, C + 5, acting * 1000, capacity)
    for name, at_k in (("intake-supply_temperature-b", out_k), ("out-return_temperature-a", back_k)):
        made.means[name] = replace(made.means[name], value=np.full(HOURS, at_k))
    (pipe,) = made.report().pipes
    assert pipe.verdict == verdict
    assert pipe.supply_w_m_k.value == pytest.approx(acting, rel=0.02)
    assert pipe.return_w_m_k.value == pytest.approx(acting, rel=0.02)
    assert pipe.lost_by_meters.value == pytest.approx(0, abs=1)


def test_coarse_thermometers_give_no_verdict():
    (pipe,) = two_ends(2e7, 2e7, sure=False).report().pipes
    assert "can't be told" in pipe.verdict or pipe.verdict == "as designed"
    assert pipe.supply_w_m_k.sd > 0.5


def exchanger(hot=(80, 50), cold=(40, 70)) -> Made:
    made = Made()
    made.nodes = [node("plant"), node("plate", "exchanger"), node("farm")]
    made.streams = [stream("hot", "plant", "plate", ("a", "a")), stream("cold", "plate", "farm", ("a", "a"))]
    made.meter(made.streams[0], 3e5, C + hot[0], C + hot[1])
    made.meter(made.streams[1], 3e5, C + cold[1], C + cold[0])
    return made


def test_an_exchanger_is_rated_from_both_sides():
    (told,) = exchanger().report().exchangers
    assert told.hot_w.value == pytest.approx(3e5, rel=0.005)
    assert told.cold_w.value == pytest.approx(3e5, rel=0.005)
    assert told.log_mean_k.value == pytest.approx(10.0, rel=1e-3)
    assert told.ua_w_k.value == pytest.approx(3e4, rel=0.02)
    assert told.effectiveness.value == pytest.approx(30 / 40, rel=0.01)
    assert told.running_h == HOURS
    assert told.ua_w_k.sd > 0


def test_an_exchanger_that_cannot_be_rated_says_why():
    (crossed,) = exchanger(cold=(85, 95)).report().exchangers
    assert "enters no warmer" in crossed.why
    made = exchanger()
    made.sensors = [sensor for sensor in made.sensors if sensor.stream != "cold"]
    assert "stream cold has no meter" in made.report().exchangers[0].why


def heat_pump() -> Made:
    made = Made()
    made.nodes = [node("well"), node("pump"), node("net"), node("grid")]
    made.streams = [
        stream("source", "well", "pump", ("a", "a")),
        stream("power", "grid", "pump", ("a", "a"), "electricity"),
        stream("sink", "pump", "net", ("a", "a")),
    ]
    made.meter(made.streams[0], 3e5, C + 12, C + 7)
    made.sensor(made.streams[1], "power", "power", 1e5, "a", 1.0)
    made.energy(made.streams[1], "power", 1e5)
    made.meter(made.streams[2], 4e5, C + 70, C + 50)
    return made


def test_a_heat_pump_has_a_cop_and_a_share_of_carnots():
    (told,) = heat_pump().report().heat_pumps
    assert told.cop.value == pytest.approx(4.0)
    assert told.cop.sd == pytest.approx(4 * 0.01 * 2**0.5, rel=0.02)
    assert told.carnot_share.value == pytest.approx(4 * 63 / (70 + C), rel=1e-6)
    assert told.impossible is None
    assert told.source_w.value == pytest.approx(3e5)


def test_a_heat_pump_without_power_figures_is_not_rated():
    made = heat_pump()
    del made.energies["power", "power"]
    (told,) = made.report().heat_pumps
    assert told.cop.value is None
    assert "power is not metered" in told.why


def test_a_register_in_another_unit_is_found():
    made = two_ends(1e6, 0.9e6)
    first = made.streams[0]
    made.energy(first, "register_heat_flow", 1e6 / 3.6)
    made.paired = {("out", "heat_flow"): 1e6 * 3600 * 2, ("out", "register_heat_flow"): 1e6 / 3.6 * 3600 * 2}
    (told,) = made.report().registers
    assert told.ratio == pytest.approx(3.6)
    assert told.cause == "a unit or pulse value is mistaken"
    assert told.factor == 3.6
    made.paired = {}
    assert made.report().registers[0].why == "no step in which both have a figure"


def test_saying_what_a_receiver_needs_has_nothing_computed_again():
    farm = {"id": "farm", "kind": "process", "party": "b", "name": "Farm"}
    lists = {
        "nodes": [farm],
        **{name: [] for name in ("materials", "agreements", "devices", "streams", "lots", "sensors")},
    }
    before = {"hub": {"id": "h"}, **lists}
    after = before | {"nodes": [farm | {"heat_need": {"lowest_c": 18.0}, "dumps_heat": False}]}
    assert marks_of(before, after) == Marks()


def test_a_thermometer_that_shows_no_water_spoils_only_what_rests_on_it():
    made = exchanger()
    made.means["hot-supply_temperature-a"] = replace(
        made.means["hot-supply_temperature-a"], value=np.full(HOURS, C + 900)
    )
    made.nodes += [node("far"), node("near")]
    made.streams.append(stream("other", "near", "far"))
    made.meter(made.streams[-1], 1e6)
    report = made.report()
    assert report.exchangers[0].why is not None
    assert report.exchanges[0].used.value == pytest.approx(1e6 * 3600 * HOURS)

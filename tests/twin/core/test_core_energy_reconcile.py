"""Bilinear reconciliation: a published network, an independent hydraulic program, an independent optimiser, and laws."""

from __future__ import annotations

import heat_networks as nets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from sidestream_twin.core.energy_reconcile import (
    Duty,
    EnergyNetwork,
    Exchanger,
    HeatedStream,
    Junction,
    Pipe,
    ThroughSide,
    reconcile_energy,
)
from sidestream_twin.core.energy_reconcile.balances import Balances
from sidestream_twin.core.energy_reconcile.start import first_guess
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.fluid import LiquidWater, Polynomial, Steam
from sidestream_twin.core.reconcile import Knowledge, global_test, screen
from sidestream_twin.core.uncertain import Uncertain

WATER = LiquidWater()


def value(found, name):
    return float(found.x[found.balances.column[name]])


def known(found, name):
    return found.estimate.structure.knowledge[found.balances.column[name]]


def closed(found):
    """How far the worst balance is from closed, against the largest term in it."""
    rows, slopes = found.balances.at(found.x)
    return max(np.abs(rows.misses) / (abs(slopes) @ np.abs(found.x)))


@pytest.fixture(scope="module")
def swartz():
    return reconcile_energy(nets.swartz())


def test_swartz_network_gives_the_published_optimum(swartz):
    """Swartz 1989; optimum found independently (objective 14.797)."""
    assert swartz.objective == pytest.approx(14.797, abs=5e-4)
    for name, published in nets.SWARTZ_FOUND.items():
        assert value(swartz, name) == pytest.approx(published, abs=0.0051), name
    assert swartz.one_optimum
    assert closed(swartz) < 1e-12
    assert swartz.steps < 15


def test_an_independent_optimiser_finds_the_same(swartz):
    """Sequential quadratic programming of scipy on the same equations, from the first guess."""
    balances = swartz.balances
    measured = np.array([np.nan if v.measured is None else v.measured.value for v in balances.variables])
    sd = np.array([0.0 if v.measured is None else v.measured.sd for v in balances.variables])
    counted, exact = sd > 0, ~np.isnan(measured) & (sd == 0)
    scale = np.where(counted, sd, 1.0)
    start = first_guess(balances)
    scale = np.where(np.arange(start.size) >= 30, 100.0, scale)

    def misses(z):
        x = start + scale * z
        return np.append(np.array(balances.at(x)[0].misses), x[exact])

    def slopes(z):
        return np.vstack([balances.at(start + scale * z)[1].toarray(), np.eye(start.size)[exact]]) * scale

    def adjustments(z):
        return np.sum(((start + scale * z - measured)[counted] / sd[counted]) ** 2)

    closing = {"type": "eq", "fun": misses, "jac": slopes}
    solved = minimize(adjustments, np.zeros(start.size), constraints=closing, method="SLSQP", options={"maxiter": 200})
    assert solved.success
    assert solved.fun == pytest.approx(swartz.objective, rel=1e-5)


def test_the_objective_is_the_statistic_of_the_global_test(swartz):
    test = global_test(swartz.estimate)
    assert test.statistic == pytest.approx(swartz.objective, rel=1e-6)
    assert test.dof == 3
    assert not test.passed


def test_meters_that_nothing_checks_are_told_apart(swartz):
    tests = screen(swartz.estimate)
    for name in ("flow of B1", "temperature of C1", "temperature of A1"):
        assert known(swartz, name) is Knowledge.NON_REDUNDANT
        assert tests.detectability[swartz.balances.column[name]] == 0
    assert known(swartz, "flow of A1") is Knowledge.REDUNDANT
    assert known(swartz, "temperature of C2") is Knowledge.OBSERVABLE


@pytest.mark.parametrize(
    "other", [{"flow_unit": 1 / 3.6}, {"heat_unit": 4186.8}, {"kelvin": 1 / 1.8}, {"backwards": True}], ids=str
)
def test_units_and_order_change_nothing(swartz, other):
    found = reconcile_energy(nets.swartz(**other))
    assert found.objective == pytest.approx(swartz.objective, rel=1e-7)
    for name in nets.SWARTZ_FOUND:
        unit = other.get("flow_unit", 1) if name.startswith("flow") else other.get("kelvin", 1)
        assert value(found, name) / unit == pytest.approx(value(swartz, name), rel=1e-8)


def test_a_district_network_agrees_with_an_independent_hydraulic_program():
    """pandapipes 0.16.0, constant fluid (4190 J/(kg K)), pipes with u·π·d = 0.22 W/(m K) in 281.15 K, one section each,
    heat consumers of 1.8/1.1/0.6 kg/s and 200/95/60 kW, plant at 358.15 K: outlet temperatures and the plant's heat."""
    found = reconcile_energy(nets.district_known(Polynomial("water", (0.0, 4190.0))))
    for pipe, t_k in {
        "pa_s": 357.460031, "ab_s": 356.464894, "ac_s": 355.368031, "cd_s": 353.444940,
        "pa_r": 329.729970, "ab_r": 329.310385, "ac_r": 331.078562, "cd_r": 328.323740,
    }.items():  # fmt: skip
        assert value(found, f"temperature of {pipe}_out") == pytest.approx(t_k, abs=2e-6)
    assert value(found, "heat of plant") == pytest.approx(416779.732655, rel=1e-8)


def test_with_real_water_it_agrees_as_far_as_the_two_heat_capacities_do():
    """pandapipes 0.16.0 with its own water (20 sections a pipe): 416 831.6 W at the plant, 329.744 K back."""
    found = reconcile_energy(nets.district_known())
    assert value(found, "heat of plant") == pytest.approx(416831.6, rel=2e-4)
    assert value(found, "temperature of pa_r_out") == pytest.approx(329.744, abs=0.03)
    assert value(found, "temperature of cd_s_out") == pytest.approx(353.455, abs=0.003)


def measured_district(truth, seed, bias=0.0):
    """Meters at plant and consumers: flow 1 %, temperatures 0.2 K, heats 2 %; losses per metre known to 20 %."""
    rng = np.random.default_rng(seed)

    def read(kind, name, sd):
        return Uncertain(value(truth, f"{kind} of {name}") + rng.normal(0, sd), sd)

    flows = {
        s: read("flow", s, 0.01 * value(truth, f"flow of {s}")) for s in ("pa_s_in", "ab_s_out", "c_in", "cd_s_out")
    }
    ends = ("pa_s_in", "pa_r_out", "ab_s_out", "ab_r_in", "c_in", "c_out", "cd_s_out", "cd_r_in")
    temperatures = {s: read("temperature", s, 0.2) for s in ends}
    heats = {n: read("heat", n, 0.02 * value(truth, f"heat of {n}")) for n in ("plant", "b", "c", "d")}
    flows["c_in"] = Uncertain(flows["c_in"].value + bias, flows["c_in"].sd_random)
    return nets.district(
        flows, temperatures, heats, Uncertain(0.22 + rng.normal(0, 0.02), 0.04), Polynomial("w", (0, 4190.0))
    )


@pytest.fixture(scope="module")
def truth():
    return reconcile_energy(nets.district_known(Polynomial("w", (0.0, 4190.0))))


@pytest.mark.slow
def test_reconciled_is_nearer_to_the_truth_than_measured_and_the_bands_hold(truth):
    errors, raw, bands, statistics = [], [], [], []
    for seed in range(12):
        found = reconcile_energy(measured_district(truth, seed))
        assert closed(found) < 1e-10
        column = [n for n, v in enumerate(found.balances.variables) if v.measured is not None and n < 36]
        sd = np.array([found.balances.variables[n].measured.sd for n in column])
        given = np.array([found.balances.variables[n].measured.value for n in column])
        errors.append((found.x[column] - truth.x[column]) / sd)
        raw.append((given - truth.x[column]) / sd)
        observed = [n for n in range(36) if found.estimate.sd[n] > 0]
        bands.append(np.abs(found.x - truth.x)[observed] < 1.645 * found.estimate.sd[observed])
        statistics.append(found.objective / global_test(found.estimate).dof)
    assert np.mean(np.square(errors)) < 0.7 * np.mean(np.square(raw))
    assert 0.8 < np.mean(bands) < 0.98
    assert 0.6 < np.mean(statistics) < 1.4


def test_a_wrong_meter_is_named(truth):
    found = reconcile_energy(measured_district(truth, 3, bias=0.2))
    tests = screen(found.estimate)
    worst = int(np.nanargmax(tests.test))
    assert found.balances.ids[worst] == "flow of c_in"
    assert tests.test[worst] > tests.critical
    assert tests.bias[worst] == pytest.approx(0.2, abs=4 * tests.bias_sd[worst])


def test_unknown_losses_follow_from_the_temperatures_at_both_ends():
    def pipe(conductance):
        streams = (
            HeatedStream("in", None, "p", WATER, Uncertain(2.0, 0.02), Uncertain(353.15, 0.1)),
            HeatedStream("out", "p", None, WATER, None, Uncertain(351.15, 0.1)),
        )
        return reconcile_energy(EnergyNetwork(streams, (Pipe("p", 281.15, conductance),)))

    found = pipe(None)
    assert known(found, "conductance of p") is Knowledge.OBSERVABLE
    assert value(found, "loss of p") == pytest.approx(2.0 * 4196 * 2.0, rel=2e-3)
    assert value(found, "conductance of p") == pytest.approx(2.0 * 4196 * np.log(72 / 70), rel=2e-3)
    assert known(pipe(Uncertain(200.0, 20.0)), "conductance of p") is Knowledge.REDUNDANT


def test_steam_that_condenses_heats_water_by_its_latent_heat():
    """7 bar dry steam gives off 2065.8 kJ/kg; 0.1 kg/s of it warms 2 kg/s of water by 24.7 K."""
    streams = (
        HeatedStream("s", None, "x", Steam(7e5), Uncertain(0.1), Uncertain(438.11)),
        HeatedStream("k", "x", None, LiquidWater(7e5), None, Uncertain(438.10)),
        HeatedStream("a", None, "x", WATER, Uncertain(2.0), Uncertain(313.15)),
        HeatedStream("b", "x", None, WATER),
    )
    found = reconcile_energy(EnergyNetwork(streams, (Exchanger("x", (ThroughSide("s", "k"), ThroughSide("a", "b"))),)))
    assert value(found, "heat of s in x") == pytest.approx(206.58e3, rel=1e-3)
    assert value(found, "temperature of b") - 313.15 == pytest.approx(24.7, abs=0.05)


def test_what_no_meter_tells_is_said_to_be_unknown_and_the_rest_is_found_all_the_same():
    streams = (
        HeatedStream("a", None, "m", WATER, Uncertain(1.0, 0.1), Uncertain(350, 0.5)),
        HeatedStream("b", None, "m", WATER),
        HeatedStream("c", "m", "use", WATER, None, Uncertain(330, 0.5)),
        HeatedStream("d", "use", None, WATER),
    )
    found = reconcile_energy(EnergyNetwork(streams, (Junction("m"), Duty("use"))))
    for name in ("flow of b", "temperature of b", "flow of c", "heat of use", "temperature of d"):
        assert known(found, name) is Knowledge.UNOBSERVABLE
        assert np.isnan(found.estimate.value[found.balances.column[name]])
    assert value(found, "flow of a") == pytest.approx(1.0)
    assert closed(found) < 1e-9
    assert global_test(found.estimate) is None


def test_a_flow_follows_from_the_temperatures_of_a_mixture():
    streams = (
        HeatedStream("hot", None, "m", WATER, Uncertain(1.0), Uncertain(363.15)),
        HeatedStream("cold", None, "m", WATER, None, Uncertain(283.15)),
        HeatedStream("warm", "m", None, WATER, None, Uncertain(323.15)),
    )
    found = reconcile_energy(EnergyNetwork(streams, (Junction("m"),)))
    assert value(found, "flow of cold") == pytest.approx(1.0, rel=5e-3)


@settings(max_examples=15)
@given(st.lists(st.floats(0.1, 5.0), min_size=2, max_size=5), st.data())
def test_exact_readings_of_any_mixture_are_left_alone_and_its_outlet_is_found(flows, data):
    """Mass and energy are conserved; the mixture lies between the coldest and the warmest inlet."""
    temperatures = [data.draw(st.floats(280, 370)) for _ in flows]
    streams = [
        HeatedStream(f"s{n}", None, "m", WATER, Uncertain(m, 0.01 * m), Uncertain(t, 0.1))
        for n, (m, t) in enumerate(zip(flows, temperatures, strict=True))
    ]
    found = reconcile_energy(EnergyNetwork((*streams, HeatedStream("out", "m", None, WATER)), (Junction("m"),)))
    assert found.objective < 1e-12
    assert value(found, "flow of out") == pytest.approx(sum(flows), rel=1e-9)
    assert min(temperatures) - 1e-6 <= value(found, "temperature of out") <= max(temperatures) + 1e-6
    assert closed(found) < 1e-10


def test_slopes_of_all_balances_are_those_of_finite_differences():
    balances = Balances(nets.district_known(Polynomial("w", (0.0, 4190.0))))
    x = first_guess(balances) * (1 + 0.01 * np.sin(np.arange(len(balances.ids)))) + 0.3
    _, slopes = balances.at(x)
    slopes = slopes.toarray()
    for n in range(x.size):
        step = 1e-5 * max(1.0, abs(x[n]))
        up, down = (np.array(balances.at(x + sign * step * np.eye(x.size)[n])[0].misses) for sign in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * step), slopes[:, n], rtol=2e-5, atol=1e-4)


def exchanger(**changes):
    sides = (ThroughSide("a", "b"), ThroughSide("c", "d"))
    ends = {"a": (None, "x"), "b": ("x", None), "c": (None, "x"), "d": ("x", None)} | changes
    streams = tuple(HeatedStream(name, *end, WATER) for name, end in ends.items())
    return EnergyNetwork(streams, (Exchanger("x", sides),))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: EnergyNetwork((), ()), "no streams"),
        (lambda: exchanger(a=(None, "y")), "names node 'y'"),
        (lambda: exchanger(a=("x", "x")), "both ends"),
        (lambda: exchanger(a=(None, None)), "no node at all"),
        (lambda: exchanger(e=(None, "x")), "is no side of it"),
        (lambda: exchanger(a=("x", None)), "mend sides"),
        (lambda: EnergyNetwork((HeatedStream("a", None, "p", WATER),), (Pipe("p", 280.0),)), "1 streams in and 0 out"),
        (lambda: EnergyNetwork((HeatedStream("a", None, "p", WATER),), (Junction("p"),)), "out of"),
        (
            lambda: EnergyNetwork(
                (HeatedStream("a", None, "p", WATER), HeatedStream("b", "p", None, Polynomial("oil", (0, 2e3)))),
                (Duty("p"),),
            ),
            "no common zero",
        ),
        (lambda: HeatedStream("a", None, "p", Polynomial("oil", (3.0, 0.0))), "change with temperature"),
        (lambda: EnergyNetwork((HeatedStream("a", None, "p", WATER, None, Uncertain(-3)),), ()), "'p'"),
    ],
)
def test_networks_that_do_not_fit_together_are_refused(make, word):
    with pytest.raises(ModelError, match=word):
        make()


def test_exact_numbers_that_contradict_each_other_are_refused():
    streams = (
        HeatedStream("a", None, "p", WATER, Uncertain(1.0), Uncertain(350)),
        HeatedStream("b", "p", None, WATER, Uncertain(2.0), Uncertain(340)),
    )
    with pytest.raises(ModelError, match="contradict"):
        reconcile_energy(EnergyNetwork(streams, (Duty("p"),)))

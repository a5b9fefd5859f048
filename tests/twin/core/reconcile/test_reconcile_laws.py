from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space
from scipy.optimize import lsq_linear

from sidestream_twin.core.reconcile import (
    Constraint,
    Knowledge,
    Stream,
    Variable,
    analyse,
    global_test,
    leaks,
    linear_system,
    network,
    reconcile,
    screen,
    suspects,
    within_bounds,
)
from sidestream_twin.core.uncertain import Uncertain

SDS = st.floats(0.01, 10.0)
FEW = settings(max_examples=max(8, settings().max_examples // 5))


@st.composite
def plants(draw, measured=0.8, most=14):
    """Any network: loops, parallel streams, both directions, several parts, some streams without a meter."""
    nodes = [f"n{at}" for at in range(draw(st.integers(1, 6)))]
    ends = st.sampled_from([None, *nodes])
    pairs = st.tuples(ends, ends).filter(lambda pair: pair[0] != pair[1])
    made = []
    for at, (source, target) in enumerate(draw(st.lists(pairs, min_size=1, max_size=most))):
        has_meter = measured == 1.0 or draw(st.floats(0, 1)) < measured
        meter = Uncertain(draw(st.floats(-100, 100)), draw(SDS), draw(SDS)) if has_meter else None
        made.append(Stream(f"s{at}", source, target, meter))
    return made


def dense(system):
    """The same by textbook means: minimise over the null space of A, with a dense least-squares solver.

    Ways that no meter sees make the problem singular; what rounding leaves of them is cut off, or it would grow.
    """
    matrix, measured = system.matrix.toarray(), system.is_measured
    ways = null_space(matrix) if matrix.size else np.eye(len(system.ids))
    weight = 1.0 / np.sqrt(system.variance[measured])
    found, *_ = np.linalg.lstsq(weight[:, None] * ways[measured], weight * system.measured[measured], rcond=1e-11)
    return ways @ found, ways


def told(estimate):
    return ~np.isnan(estimate.value)


@FEW
@given(plants())
def test_mass_is_conserved_and_a_dense_solver_finds_the_same(streams):
    system = network(streams)
    estimate = reconcile(system)
    if not told(estimate).all():
        known = told(estimate)
        rows = np.flatnonzero((abs(system.matrix) @ (~known).astype(float)) == 0)
    else:
        rows = np.arange(system.matrix.shape[0])
    missed = system.matrix[rows] @ np.nan_to_num(estimate.value)
    assert np.abs(missed).max(initial=0) <= 1e-9 * (1 + np.nanmax(np.abs(estimate.value), initial=0))
    if system.is_measured.any():
        expected, _ = dense(system)
        assert estimate.value[told(estimate)] == pytest.approx(expected[told(estimate)], abs=1e-8, rel=1e-8)


@FEW
@given(plants(measured=0.6))
def test_classes_are_those_of_dense_ranks(streams):
    """Observable: the null space of what isn't measured is zero there. Redundant: without its meter still observable."""
    system = network(streams)
    matrix, measured = system.matrix.toarray(), system.is_measured

    def tells(at, known):
        hidden = [each for each in range(len(system.ids)) if each == at or not known[each]]
        ways = null_space(matrix[:, hidden], rcond=1e-10)
        return np.abs(ways[hidden.index(at)]).max(initial=0) < 1e-9

    for at, found in enumerate(analyse(system).knowledge):
        without = measured.copy()
        without[at] = False
        expected = tells(at, without)
        if measured[at]:
            assert found is (Knowledge.REDUNDANT if expected else Knowledge.NON_REDUNDANT)
        else:
            assert found is (Knowledge.OBSERVABLE if expected else Knowledge.UNOBSERVABLE)


@FEW
@given(plants())
def test_deviations_are_those_of_propagating_each_meters_error(streams):
    """Move each meter by a unit and see what the estimate does: sd² = Σ (effect · meter's sd)², of each kind."""
    system = network(streams)
    estimate = reconcile(system)
    total, random = np.zeros(len(streams)), np.zeros(len(streams))
    for at, stream in enumerate(streams):
        if stream.measured is None:
            continue
        meter = stream.measured
        moved = [*streams]
        moved[at] = Stream(
            stream.id, stream.source, stream.target, Uncertain(meter.value + 1, meter.sd_random, meter.sd_systematic)
        )
        effect = np.nan_to_num(reconcile(network(moved)).value - estimate.value)
        total += (effect * meter.sd) ** 2
        random += (effect * meter.sd_random) ** 2
    known = told(estimate)
    assert estimate.sd[known] == pytest.approx(np.sqrt(total)[known], abs=1e-7)
    assert estimate.sd_random[known] == pytest.approx(np.sqrt(random)[known], abs=1e-7)
    whole = estimate.covariance_with(np.arange(len(streams)))
    assert np.sqrt(np.diag(whole))[known] == pytest.approx(estimate.sd[known], abs=1e-7)


@FEW
@given(plants(), st.floats(1e-6, 1e6), st.randoms(use_true_random=False))
def test_units_order_and_directions_of_streams_change_nothing(streams, unit, random):
    """In other units, in another order and with some streams counted the other way the plant is the same plant."""
    before = reconcile(network(streams))
    turned = {stream.id: random.choice((1.0, -1.0)) for stream in streams}
    other = [
        Stream(
            each.id,
            *((each.source, each.target) if turned[each.id] > 0 else (each.target, each.source)),
            None
            if each.measured is None
            else Uncertain(
                each.measured.value * unit * turned[each.id],
                each.measured.sd_random * unit,
                each.measured.sd_systematic * unit,
            ),
        )
        for each in streams
    ]
    random.shuffle(other)
    after = reconcile(network(other))
    place = [after.system.ids.index(name) for name in before.system.ids]
    sign = np.array([turned[name] for name in before.system.ids])
    size = 1 + np.nanmax(np.abs(before.value), initial=0)
    assert after.value[place] * sign / unit == pytest.approx(before.value, abs=1e-9 * size, nan_ok=True)
    assert after.sd[place] / unit == pytest.approx(before.sd, abs=1e-9 * size, nan_ok=True)
    assert [after.structure.knowledge[at] for at in place] == list(before.structure.knowledge)
    first, second = screen(before, 0.1), screen(after, 0.1)
    assert second.test[place] == pytest.approx(first.test, rel=1e-6, abs=1e-6, nan_ok=True)


@FEW
@given(plants(measured=1.0), st.data())
def test_an_unmeasured_outlet_takes_its_nodes_balance_out_of_the_checks(streams, data):
    node = data.draw(st.sampled_from(sorted({end for each in streams for end in (each.source, each.target) if end})))
    before = analyse(network(streams))
    after = analyse(network([*streams, Stream("outlet", node, None)]))
    reaches_outside = after.redundancy == before.redundancy - 1
    assert reaches_outside or before.dependent.size  # a part without a way out had no balance to lose
    assert after.knowledge[-1] is Knowledge.OBSERVABLE


@FEW
@given(plants(measured=0.9))
def test_bounded_estimates_are_the_optimum_of_the_quadratic_programme(streams):
    """Karush-Kuhn-Tucker, sufficient here: the gradient is balanced by constraints and by pushes of bounds that touch."""
    streams = [Stream(each.id, each.source, each.target, each.measured, lower=0.0) for each in streams]
    system = network(streams)
    estimate = reconcile(system)
    assume(told(estimate).all())
    bounded = within_bounds(estimate)
    found, at_bound = bounded.estimate.value, [system.ids.index(name) for name in bounded.at_bound]
    size = 1 + np.abs(estimate.value).max()
    assert found.min() >= -1e-8 * size
    assert np.abs(system.matrix @ found).max(initial=0) <= 1e-9 * size
    assert np.abs(found[at_bound]).max(initial=0) <= 1e-9 * size
    measured = system.is_measured
    gradient = np.zeros(len(streams))
    gradient[measured] = (found - system.measured)[measured] / system.variance[measured]
    forces = np.hstack([system.matrix.T.toarray(), np.eye(len(streams))[:, at_bound]])
    least = np.append(np.full(system.matrix.shape[0], -np.inf), np.zeros(len(at_bound)))
    fit = lsq_linear(forces, gradient, bounds=(least, np.inf), tol=1e-14, method="bvls")
    scale = 1 + np.abs(gradient).max()
    assert forces @ fit.x == pytest.approx(gradient, abs=1e-8 * scale)
    again = within_bounds(estimate, start=bounded.at_bound)
    assert again.estimate.value == pytest.approx(found, abs=1e-8 * size)


def test_a_bound_takes_a_small_wrong_way_flow_to_zero_and_says_so():
    """By hand: a third of the imbalance of -3 to each, then the purge is held at 0 and the others share the rest."""
    streams = [
        Stream("in", None, "n", Uncertain(9.0, 1.0, 0.0), lower=0.0),
        Stream("out", "n", None, Uncertain(11.0, 1.0, 0.0), lower=0.0),
        Stream("purge", "n", None, Uncertain(0.1, 1.0, 0.0), lower=0.0),
    ]
    bounded = within_bounds(reconcile(network(streams)))
    assert bounded.at_bound == ("purge",)
    assert bounded.estimate.value == pytest.approx([10.0, 10.0, 0.0])


@FEW
@given(plants(measured=0.9), st.data())
def test_a_suspect_taken_out_is_as_if_it_had_no_meter(streams, data):
    """The bias that serial elimination estimates is measured minus what the others say, with its deviation."""
    estimate = reconcile(network(streams))
    screening = screen(estimate, 0.1)
    checkable = np.flatnonzero(screening.detectability > 0.2)
    assume(checkable.size)
    at = int(data.draw(st.sampled_from(checkable.tolist())))
    meter = streams[at].measured
    off = [*streams]
    off[at] = Stream(
        streams[at].id,
        streams[at].source,
        streams[at].target,
        Uncertain(meter.value + 1e4, meter.sd_random, meter.sd_systematic),
    )
    wrong = reconcile(network(off))
    named = suspects(wrong, screen(wrong, 0.1))
    assert streams[at].id in named[0].meters
    off[at] = Stream(streams[at].id, streams[at].source, streams[at].target)
    without = reconcile(network(off))
    tests = screen(wrong, 0.1)
    assert tests.bias[at] == pytest.approx(meter.value + 1e4 - without.value[at], rel=1e-7)
    assert tests.bias_sd[at] == pytest.approx(np.hypot(meter.sd, without.sd[at]), rel=1e-6)


@FEW
@given(plants(measured=0.9))
def test_a_leaks_test_is_what_an_unmeasured_outlet_would_explain(streams):
    """Narasimhan & Mah: the likelihood ratio is the fall of χ² when the hypothesis is granted; its size is that outlet's."""
    estimate = reconcile(network(streams))
    before = global_test(estimate)
    for leak in leaks(estimate, 0.1):
        granted = reconcile(network([*streams, Stream("leak", leak.node, None)]))
        after = global_test(granted)
        fall = before.statistic - (after.statistic if after else 0.0)
        assert leak.test**2 == pytest.approx(fall, rel=1e-6, abs=1e-6 * (1 + before.statistic))
        assert leak.size == pytest.approx(granted.value[-1], abs=1e-7 * (1 + np.nanmax(np.abs(granted.value))))
        assert leak.sd == pytest.approx(granted.sd[-1], rel=1e-6)


@st.composite
def systems(draw):
    """Any consistent constraints: other coefficients than ±1, totals, dependent rows, exact and unmeasured variables."""
    count, rows = draw(st.integers(1, 7)), draw(st.integers(0, 4))
    coefficient = st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.25, -3.0, 40.0])
    truth = np.array(draw(st.lists(st.floats(-50, 50), min_size=count, max_size=count)))
    lines = [draw(st.lists(coefficient, min_size=count, max_size=count)) for _ in range(rows)]
    lines = [line for line in lines if any(line)]
    if len(lines) > 1 and draw(st.booleans()):
        lines.append((np.array(lines[0]) + 2.0 * np.array(lines[1])).tolist())
    variables = []
    for at, true in enumerate(truth):
        kind = draw(st.sampled_from(["meter", "meter", "meter", "none", "exact"]))
        meter = Uncertain(true + draw(st.floats(-3, 3)), draw(SDS), 0.0)
        variables.append(Variable(f"v{at}", {"meter": meter, "none": None, "exact": Uncertain(true, 0.0, 0.0)}[kind]))
    constraints = [
        Constraint(f"c{at}", tuple((f"v{n}", each) for n, each in enumerate(line)), float(np.dot(line, truth)))
        for at, line in enumerate(lines)
        if any(line)
    ]
    return linear_system(variables, constraints)


@FEW
@given(systems())
def test_general_constraints_give_what_a_dense_least_squares_gives(system):
    """Minimise over all solutions of the constraints and exact values, by singular values; nothing of ours is used."""
    estimate = reconcile(system)
    fixed, measured = system.is_fixed, system.is_measured
    whole = np.vstack([system.matrix.toarray(), np.eye(len(system.ids))[fixed]])
    wanted = np.append(system.totals, system.measured[fixed])
    start, *_ = np.linalg.lstsq(whole, wanted, rcond=1e-12) if whole.size else (np.zeros(len(system.ids)),)
    ways = null_space(whole, rcond=1e-12) if whole.size else np.eye(len(system.ids))
    weight = 1.0 / np.sqrt(system.variance[measured])
    step, *_ = np.linalg.lstsq(
        weight[:, None] * ways[measured], weight * (system.measured - start)[measured], rcond=1e-12
    )
    hidden = null_space(ways[measured], rcond=1e-10) if measured.any() else np.eye(ways.shape[1])
    known = np.abs(ways @ hidden).max(axis=1, initial=0) < 1e-9
    assert told(estimate).tolist() == known.tolist()
    assert estimate.value[known] == pytest.approx((start + ways @ step)[known], abs=1e-6, rel=1e-7)
    missed = system.matrix @ np.nan_to_num(estimate.value) - system.totals
    closed = (abs(system.matrix) @ (~known).astype(float)) == 0
    assert np.abs(missed[closed]).max(initial=0) <= 1e-9 * (1 + np.abs(system.totals).max(initial=0) + 4000)

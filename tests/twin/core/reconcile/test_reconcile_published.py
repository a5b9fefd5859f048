from __future__ import annotations

import numpy as np
import pytest
from published_networks import P4, P4_MEASURED, P4_RECONCILED, P6, P10, dense_estimate

from sidestream_twin.core.reconcile import global_test, reconcile, screen


def test_the_worked_example_of_narasimhan_and_jordache_comes_out_as_printed():
    estimate = reconcile(P4.system(P4_MEASURED))
    assert estimate.value == pytest.approx(P4_RECONCILED, abs=0.006)


@pytest.mark.parametrize(
    ("problem", "measured"), [(P4, P4_MEASURED), (P6, P6.values), (P10, P10.values)], ids=["P4", "P6", "P10"]
)
def test_sparse_results_equal_the_dense_textbook_formula(problem, measured):
    system = problem.system(measured)
    estimate = reconcile(system)
    screening = screen(estimate, 0.1)
    adjustment, covariance = dense_estimate(problem.incidence(), measured, problem.sds)
    spread = np.diag(covariance)
    assert estimate.value == pytest.approx(measured - adjustment, abs=1e-10)
    assert estimate.sd == pytest.approx(np.sqrt(np.square(problem.sds) - spread), abs=1e-10)
    assert screening.test == pytest.approx(np.abs(adjustment) / np.sqrt(spread), abs=1e-8)
    assert screening.detectability == pytest.approx(np.sqrt(spread) / problem.sds, abs=1e-10)
    found = global_test(estimate, 0.1)
    missed = problem.incidence() @ measured
    weight = np.linalg.inv(problem.incidence() @ np.diag(np.square(problem.sds)) @ problem.incidence().T)
    assert (found.statistic, found.dof) == (pytest.approx(missed @ weight @ missed), len(problem.nodes))


def test_adjustability_and_detectability_are_those_published():
    first, second = screen(reconcile(P4.system())), screen(reconcile(P6.system()))
    assert first.adjustability == pytest.approx([0.4226] * 6, abs=1e-3)
    assert first.detectability == pytest.approx([0.8165] * 6, abs=1e-3)
    assert second.adjustability == pytest.approx([0.3828, 0.3828, 0.3828, 0.2763, 0.3453, 0.2763, 0.3828], abs=1e-3)

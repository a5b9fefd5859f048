"""A stock goes on from what an older version remembered, and from its own memory to the last bit."""

from __future__ import annotations

import json

import pytest

from sidestream_store.twin.stocks import Checkpoint
from sidestream_twin.core.stock import Direction, Movement, Observation, Stock, StockStep
from sidestream_twin.core.stock_filter import run_stock
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.stock_run import checkpoint_of, state_of

OLD = {
    "mass_kg": 5000.0,
    "variance_kg2": 16.0,
    "systematic_kg": [["belt", 30.0], ["cells", -40.0]],
    "rejected_in_row": 1,
}


def test_a_memory_without_biases_becomes_one_with_the_same_mass_and_doubt():
    state = state_of(Checkpoint(6, OLD), 10)
    assert (state.at_s, state.mass_kg, state.rejected_in_row) == (60.0, 5000.0, 1)
    assert (state.sources, state.biases) == (("belt", "cells"), (0.0, 0.0))
    assert (state.quantity.sd_random, state.quantity.sd_systematic) == (pytest.approx(4.0), pytest.approx(50.0))


def test_effects_of_one_meter_before_and_after_an_upgrade_add_with_their_sign():
    """What the belt has let in too much so far comes out again when as much leaves by the same belt."""
    leaving = StockStep(60.0, 70.0, (Movement("belt", Direction.OUT, Uncertain(100.0, 0.0, 30.0)),))
    found = run_stock(Stock(), state_of(Checkpoint(6, OLD), 10), [leaving]).state
    assert found.quantity.sd_systematic == pytest.approx(40.0)


def test_a_stock_that_was_unknown_stays_so():
    assert (
        state_of(Checkpoint(6, OLD | {"mass_kg": None, "variance_kg2": 0.0, "systematic_kg": []}), 10).mass_kg is None
    )


def test_a_memory_goes_through_the_database_without_losing_a_bit():
    seen = Observation("cells", Uncertain(5010.0, 3.0, 20.0))
    moved = Movement("belt", Direction.IN, Uncertain(10.0, 0.3, 0.1))
    state = run_stock(Stock(), state_of(Checkpoint(6, OLD), 10), [StockStep(60.0, 70.0, (moved,), (seen,))]).state
    kept = checkpoint_of(state, 7)
    assert state_of(Checkpoint(7, json.loads(json.dumps(kept.state))), 10) == state

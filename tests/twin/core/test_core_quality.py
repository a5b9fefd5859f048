"""A number never claims more than its weakest input, and a stale one never claims to be measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Freshness, Origin, freshness, origin_now, weakest

origins = st.lists(st.sampled_from(Origin), min_size=1)


@given(origins, origins)
def test_the_weakest_of_all_is_the_weakest_of_the_weakest(first, second):
    assert weakest(first + second) == weakest([weakest(first), weakest(second)])


@given(st.sampled_from(Origin))
def test_a_stale_value_is_never_called_measured(origin):
    assert origin_now(origin, Freshness.STALE) not in {Origin.MEASURED, Origin.RECONCILED, Origin.MANUAL}


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (0, Freshness.FRESH),
        (30, Freshness.FRESH),
        (30.1, Freshness.STALE),
        (-31, Freshness.STALE),
        (None, Freshness.NEVER),
    ],
)
def test_a_value_is_stale_after_three_periods_either_way(age_s, expected):
    assert freshness(age_s, period_s=10) is expected


def test_without_a_value_there_is_no_origin():
    assert origin_now(Origin.MEASURED, Freshness.NEVER) is None
    with pytest.raises(ModelError, match="origin"):
        weakest([])

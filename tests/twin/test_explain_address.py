"""Addresses of numbers: one text each, that comes back as the same address, and helpful words for what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.errors import DomainError
from sidestream_twin.explain.address import Address, format_address, parse_address

PARTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1, max_size=5
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001  zones are drawn
ADDRESSES = st.builds(
    Address, PARTS.map(tuple), st.none() | TIMES, st.none() | st.integers(min_value=1, max_value=999_999_999)
)


@given(ADDRESSES)
def test_an_address_comes_back_from_its_text_whatever_stands_in_it(address: Address):
    text = format_address(address)
    assert parse_address(text) == address
    assert format_address(parse_address(text)) == text
    assert text.isascii()
    assert not any(c.isspace() for c in text)


@given(ADDRESSES)
def test_the_same_instant_in_another_zone_has_the_same_text(address: Address):
    if address.at is not None:
        assert format_address(address.at_time(address.at.astimezone(UTC), address.revision)) == str(address)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("stream/heat/heat_flow@2026-11-22T10:00:00+01:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("stream/heat/heat_flow@2026-11-22T10:00:00 01:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("stream/heat/heat_flow@2026-11-22T10:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("stream/heat/heat_flow@2026-11-22", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("stream/heat/heat_flow@latest", None),
        ("/stream/heat/heat_flow", None),
    ],
)
def test_a_time_is_taken_as_pages_and_people_write_it(text: str, at: datetime | None):
    assert parse_address(text, "Europe/Oslo") == Address(("stream", "heat", "heat_flow"), at)


@pytest.mark.parametrize(
    "text", ["", "stream//heat", "a@noon", "a#x", "a#0", "a#-1", "a@2026-03-29T02:30", "a@2026-10-25T02:30", "%00"]
)
def test_what_names_no_number_is_refused_with_a_sentence(text: str):
    with pytest.raises(DomainError) as refused:
        parse_address(text, "Europe/Oslo")
    assert str(refused.value).endswith(".")

"""A value converted to SI is the same physical thing; what can't be converted is refused with units that would do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.units import QUANTITIES, conversion, to_si, unit_trouble

CODES = [(quantity.id, unit) for quantity in QUANTITIES.values() for unit in (*quantity.examples, quantity.si_unit)]
VALUES = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("quantity", "unit", "value", "si"),
    [
        ("volume_flow", "m3/h", 3600.0, 1.0),
        ("volume_flow", "L/s", 1000.0, 1.0),
        ("volume_flow", "l/h", 3_600_000.0, 1.0),
        ("mass_flow", "t/h", 3.6, 1.0),
        ("temperature", "Cel", 0.0, 273.15),
        ("temperature", "[degF]", 212.0, 373.15),
        ("pressure", "bar", 6.0, 600_000.0),
        ("pressure", "mbar", 1.0, 100.0),
        ("energy", "kW.h", 1.0, 3.6e6),
        ("energy", "GJ", 1.0, 1e9),
        ("power", "MW", 2.0, 2e6),
        ("mass", "t", 1.5, 1500.0),
        ("level", "cm", 150.0, 1.5),
        ("fraction", "%", 40.0, 0.4),
        ("fraction", "[ppm]", 5.0, 5e-6),
        ("volume_temperature", "m3.K", 7.0, 7.0),
    ],
)
def test_known_conversions_hold(quantity, unit, value, si):
    assert to_si(quantity, unit)(value) == pytest.approx(si, rel=1e-12)


@given(st.sampled_from(CODES), VALUES)
def test_there_and_back_is_the_same_value(code, value):
    convert = to_si(*code)
    assert (convert(value) - convert.offset) / convert.factor == pytest.approx(value, rel=1e-9, abs=1e-6)


@given(st.sampled_from(CODES), VALUES, VALUES)
def test_order_is_kept_and_differences_scale_by_the_factor(code, one, other):
    convert = to_si(*code)
    assert convert.factor > 0
    assert convert(one) - convert(other) == pytest.approx((one - other) * convert.factor, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_si_unit_of_a_quantity_is_itself(quantity):
    convert = to_si(quantity, QUANTITIES[quantity].si_unit)
    assert (convert.factor, convert.offset) == (1.0, 0.0)


@pytest.mark.parametrize("quantity", [quantity for quantity in QUANTITIES.values() if quantity.si_unit != "1"])
def test_each_quantity_offers_units_when_asked_for_a_wrong_one(quantity):
    with pytest.raises(ConfigurationError, match=r"'mol' measures something else") as caught:
        to_si(quantity.id, "mol")
    assert ", ".join(quantity.examples) in str(caught.value)
    assert quantity.meaning in str(caught.value)


@pytest.mark.parametrize(
    ("quantity", "wrong", "meant"),
    [
        ("temperature", "°C", "Cel"),
        ("temperature", "C", "Cel"),
        ("volume_flow", "m³/h", "m3/h"),
        ("volume_flow", "m3 / h", "m3/h"),
        ("energy", "kWh", "kW.h"),
        ("energy", "MWh", "MW.h"),
        ("mass", "tonne", "t"),
        ("power", "kw", "kW"),
    ],
)
def test_the_usual_slip_is_answered_with_the_code_that_is_meant(quantity, wrong, meant):
    with pytest.raises(ConfigurationError, match=rf"did you mean '{meant}'\?"):
        to_si(quantity, wrong)


CHARACTERS = st.text(st.sampled_from("mkgtLshWJClebar'/.*[](){}%1203-+ ^\x00é³°"), max_size=8)


@given(st.sampled_from(sorted(QUANTITIES)), CHARACTERS | st.text(max_size=6))
def test_no_text_as_a_unit_raises_anything_but_a_configuration_error(quantity, unit):
    try:
        problem = "" if to_si(quantity, unit).factor else "the factor is 0"
    except ConfigurationError as error:
        problem = "" if "write e.g." in str(error) else str(error)
    assert problem == ""


@pytest.mark.parametrize(
    ("quantity", "sent", "stored", "value", "expected"),
    [
        ("power", "kW", "MW", 5.0, 0.005),
        ("power", "W", "kW", 3.0, 0.003),
        ("volume_flow", "L/s", "m3/h", 10.0, 36.0),
        ("volume_flow", "L/min", "m3/h", 1.0, 0.06),
        ("energy", "kW.h", "GJ", 1.0, 0.0036),
        ("temperature", "K", "Cel", 300.0, 300.0 - 273.15),
        ("temperature", "[degF]", "Cel", 212.0, 100.0),
        ("fraction", "%", "1", 7.0, 0.07),
        ("mass", "t", "t", 1.1, 1.1),
    ],
)
def test_a_conversion_is_the_nearest_number_to_the_exact_one(quantity, sent, stored, value, expected):
    by = conversion(quantity, sent, stored)
    assert value * by.factor + by.offset == pytest.approx(expected, rel=4e-16, abs=1e-13)


@pytest.mark.parametrize(
    ("quantity", "unit", "sent_unit", "announced"),
    [
        ("power", "MW", None, None),
        ("power", "MW", None, "MW"),
        ("power", "MW", "kW", "kW"),
        ("volume_flow", "L/s", None, "l/s"),
        ("volume_flow", "m3/h", "m3/h", "m³/h"),
        ("temperature", "Cel", "Cel", "°C"),
    ],
)
def test_units_that_agree_are_no_trouble(quantity, unit, sent_unit, announced):
    assert unit_trouble(quantity, unit, sent_unit, announced) is None


@pytest.mark.parametrize(
    ("quantity", "unit", "sent_unit", "announced", "words"),
    [
        (
            "power",
            "MW",
            None,
            "kW",
            "announces 'kW', and hub.yaml declares 'MW'; 1 kW is 0.001 MW. Add `sent_unit: kW`",
        ),
        ("power", "MW", "kW", "MW", "announces 'MW', and hub.yaml says it is sent in 'kW'"),
        (
            "volume_flow",
            "m3/h",
            None,
            "m³/h",
            "'m³/h' is no UCUM code, 'm3/h' is probably meant. Add `sent_unit: m3/h`",
        ),
        ("temperature", "Cel", None, "°C", "'Cel' is probably meant"),
        ("temperature", "Cel", None, "K", "1 K is 1 - 273.15 Cel"),
        ("mass_flow", "t/h", None, "m³/t", "'m³/t' is no UCUM unit of mass_flow"),
        ("power", "kW", None, "kW.h", "'kW.h' is no UCUM unit of power"),
    ],
)
def test_units_that_contradict_each_other_are_told_with_what_is_meant(quantity, unit, sent_unit, announced, words):
    assert words in str(unit_trouble(quantity, unit, sent_unit, announced))

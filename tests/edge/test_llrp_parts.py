"""Codes of tags as URIs, and whose clock a read's time is told in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_edge.drivers.llrp.clock import ReaderClock
from sidestream_edge.drivers.llrp.codes import code_of

NOW = 1_800_000_000_000_000
S = 1_000_000


@pytest.mark.parametrize(
    ("epc", "uri"),
    [
        ("3074257BF7194E4000001A85", "urn:epc:id:sgtin:0614141.812345.6789"),
        ("3174257BF4499602D2000000", "urn:epc:id:sscc:0614141.1234567890"),
        ("3274257BF46072000000162E", "urn:epc:id:sgln:0614141.12345.5678"),
        ("3314257BF40C0E400000162E", "urn:epc:id:grai:0614141.12345.5678"),
        ("3474257BF40000000000162E", "urn:epc:id:giai:0614141.5678"),
        ("E20000170109010162100001", "E20000170109010162100001"),
        ("30" + "FF" * 11, "30" + "FF" * 11),
    ],
)
def test_a_gs1_code_is_its_identity_and_anything_else_is_hex(epc: str, uri: str) -> None:
    """As epcpy 0.1.8 decodes them, and as in the examples of GS1's EPC Tag Data Standard."""
    assert code_of(bytes.fromhex(epc), "uri") == uri
    assert code_of(bytes.fromhex(epc), "hex") == epc


@given(st.binary(min_size=1, max_size=62))
def test_every_tag_has_a_code_that_a_frame_can_carry(epc: bytes) -> None:
    code = code_of(epc, "uri")
    assert 0 < len(code) <= 512
    assert code.isprintable()
    assert code_of(epc, "uri") == code


def test_a_clock_that_is_about_right_is_believed_whatever_the_network_delays() -> None:
    clock = ReaderClock()
    for delay_us in (30_000, 5_000, 900_000):
        clock.heard(NOW, NOW + delay_us, uptime=False)
    assert clock.is_trusted
    assert clock.utc_us(NOW) == NOW
    assert clock.now_us(NOW) == NOW - 5_000


@pytest.mark.parametrize("off_s", [-400 * 86_400, 10 * 365 * 86_400, -3])
def test_a_clock_that_is_off_is_translated_to_the_gateways(off_s: int) -> None:
    clock = ReaderClock()
    for delay_us in (30_000, 5_000):
        clock.heard(NOW + off_s * S, NOW + delay_us, uptime=False)
    assert not clock.is_trusted
    assert clock.utc_us(NOW + off_s * S) == NOW + 5_000
    assert clock.now_us(NOW) == NOW


def test_a_clock_that_is_set_while_it_is_read_is_followed_at_once() -> None:
    clock = ReaderClock()
    clock.heard(NOW - 86_400 * S, NOW, uptime=False)
    assert not clock.is_trusted
    clock.heard(NOW + 1 * S, NOW + 1 * S, uptime=False)
    assert clock.is_trusted


def test_a_slow_drift_is_followed_within_ten_minutes() -> None:
    clock = ReaderClock()
    for n in range(1300):
        clock.heard(NOW + n * S, NOW + n * S + n * 1000, uptime=False)  # a ms each second
    assert clock.offset_us is not None
    assert 1_299_000 - 600_000 <= clock.offset_us <= 1_299_000

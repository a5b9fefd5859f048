"""What scales say becomes weights with state, unit and tare, however the bytes are cut; nothing else becomes a weight."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sidestream_edge.drivers.scale
from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_lines import ScaleSensor, SerialPort
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.frame import Quality
from sidestream_edge.drivers.byteline import SerialSource, TcpSource, parse_source
from sidestream_edge.drivers.lines import Fault
from sidestream_edge.drivers.linetrouble import why_unreadable
from sidestream_edge.drivers.scale.patterns import Patterns
from sidestream_edge.drivers.scale.shown import Shown, readings, wrong_unit
from sidestream_edge.drivers.scale.sics import Sics
from sidestream_edge.drivers.scale.toledo import Toledo
from sidestream_simulators.scale import SimulatedScale

SAMPLE = Path(sidestream_edge.drivers.scale.__file__).parent / "sample.yaml"
SCALES = st.builds(
    SimulatedScale,
    load_kg=st.integers(-50_000, 999_999).map(lambda n: n / 100),
    tare_kg=st.integers(0, 500_000).map(lambda n: n / 100),
    is_still=st.booleans(),
    limit_kg=st.just(1e6),
)


def sics() -> Sics:
    return Sics(polled=True, with_tare=True)


LINES = {one.id: one.lines for one in load_edge(SAMPLE).drivers}


def sample(driver: str) -> Patterns:
    return Patterns(LINES[driver])


def only(protocol: Sics | Toledo | Patterns, data: bytes) -> Shown:
    (found,) = protocol.feed(data)
    assert isinstance(found, Shown), found
    return found


@given(SCALES, st.sampled_from(["sics", "toledo", "lines"]), st.data())
def test_net_gross_tare_and_state_arrive_through_any_cut(
    scale: SimulatedScale, speech: str, data: st.DataObject
) -> None:
    if abs(scale.net_kg) * 100 > 999_999:
        scale.tare_kg = 0.0
    stream, protocol = {
        "sics": ((scale.sics("TA") + scale.sics("SI")).encode(), sics()),
        "toledo": (scale.toledo(), Toledo(checksum=True)),
        "lines": (scale.printed().encode(), sample("weighbridge")),
    }[speech]
    rest, found = stream, []
    while rest:
        n = data.draw(st.integers(1, len(rest)))
        found += protocol.feed(rest[:n])
        rest = rest[n:]
    (shown,) = found
    assert isinstance(shown, Shown)
    assert shown.state == ("stable" if scale.is_still else "unstable")
    assert shown.value == pytest.approx(scale.net_kg, abs=0.006)
    assert wrong_unit(shown, "kg") is None
    if speech != "lines":
        assert shown.weight("gross") == pytest.approx(scale.load_kg, abs=0.011)
        assert shown.weight("net") == pytest.approx(scale.net_kg, abs=0.011)
        assert shown.weight("tare") == pytest.approx(scale.tare_kg, abs=0.006)
    assert protocol.cut() is None


@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from(["sics", "toledo", "sum", "weighbridge"]))
def test_garbage_never_stops_it_and_memory_stays_bounded(chunks: list[bytes], which: str) -> None:
    protocol = {"sics": sics(), "toledo": Toledo(checksum=False), "sum": Toledo(checksum=True)}.get(which)
    protocol = protocol or sample(which)
    for chunk in chunks:
        assert all(isinstance(item, Shown | Fault) for item in protocol.feed(chunk))
    scale = SimulatedScale(load_kg=12.5)
    good = {"sics": scale.sics("SI").encode(), "weighbridge": scale.printed().encode()}.get(which, scale.toledo())
    last = list(protocol.feed(b"\r\n" + good + good))[-1]
    assert isinstance(last, Shown)
    assert last.value == 12.5


@pytest.mark.parametrize(
    ("reply", "state", "value", "unit"),
    [
        ("S S     100.00 g", "stable", 100.0, "g"),
        ("S D    -  0.05 kg", "unstable", -0.05, "kg"),
        ("S S     100.0[5] g", "stable", 100.05, "g"),
        ("S +", "over", None, None),
        ("S -", "under", None, None),
        ("S I", "invalid", None, None),
        ("SI S       1.5 kg", "stable", 1.5, "kg"),
    ],
)
def test_replies_of_mt_sics(reply: str, state: str, value: float | None, unit: str | None) -> None:
    shown = only(sics(), reply.encode() + b"\r\n")
    assert (shown.state, shown.value, shown.unit) == (state, value, unit)


def test_errors_of_mt_sics_are_explained_and_are_no_weights() -> None:
    faults = list(sics().feed(b"ES\r\nET\r\nhello\r\nS S kg\r\n"))
    assert all(isinstance(fault, Fault) for fault in faults)
    assert "does it speak MT-SICS" in faults[0].text
    assert "baud rate" in faults[1].text


def frame(a: int, b: int, c: int, digits: str) -> bytes:
    return b"\x02" + bytes((a, b, c)) + digits.encode() + b"\r"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (frame(0x32, 0x30, 0x20, " 12340     0"), ("stable", 12340.0, "kg", False, 0.0)),
        (frame(0x35, 0x31, 0x20, "001234000500"), ("stable", 1.234, "kg", True, 0.5)),
        (frame(0x30, 0x38, 0x20, "   123"), ("unstable", 12300.0, "kg", False, None)),
        (frame(0x34, 0x32, 0x22, "  1250     0"), ("stable", -12.5, "t", False, 0.0)),
        (frame(0x32, 0x20, 0x20, "   100     0"), ("stable", 100.0, "lb", False, 0.0)),
        (frame(0x32, 0x34, 0x20, "      000000"), ("over", None, None, None, None)),
        (frame(0x32, 0x36, 0x20, "      000000"), ("under", None, None, None, None)),
    ],
)
def test_frames_of_toledo(data: bytes, said: tuple) -> None:
    shown = only(Toledo(checksum=False), data)
    assert (shown.state, shown.value, shown.unit, shown.net, shown.tare) == said


def test_a_weight_of_a_toledo_that_was_not_zeroed_is_uncertain_and_an_expanded_one_is_none() -> None:
    unzeroed = only(Toledo(checksum=False), frame(0x32, 0x70, 0x20, "   100     0"))
    assert (unzeroed.quality, unzeroed.value) == (Quality.UNCERTAIN, 100.0)
    assert only(Toledo(checksum=False), frame(0x32, 0x30, 0x30, "   100     0")).quality == Quality.BAD


def test_a_wrong_checksum_costs_one_frame() -> None:
    good = SimulatedScale(load_kg=7.0).toledo()
    bad = good[:-1] + bytes([good[-1] ^ 1])
    found = list(Toledo(checksum=True).feed(good + bad + good))
    assert [type(item).__name__ for item in found] == ["Shown", "Fault", "Shown"]


@pytest.mark.parametrize(
    ("line", "state", "value"),
    [
        ("+   123.45 g  ", "stable", 123.45),
        ("-   123.45    ", "unstable", -123.45),
        ("N     +   1.5 g  ", "stable", 1.5),
        ("     High      ", "over", None),
        ("      L        ", "under", None),
        ("      Err 54   ", "invalid", None),
    ],
)
def test_lines_of_sartorius_by_the_pattern_of_the_sample(line: str, state: str, value: float | None) -> None:
    shown = only(sample("lab-balance"), line.encode() + b"\r\n")
    assert (shown.state if shown.is_weight or shown.state != "unstable" else "invalid", shown.value) == (state, value)


def test_unstable_is_uncertain_and_overload_is_bad_without_a_number() -> None:
    sensors = [ScaleSensor(id="w"), ScaleSensor(id="tare", reads="tare")]
    moving = readings(Shown("unstable", 5.0, "kg", net=True, tare=1.0), sensors, 7)
    assert [(r.sensor, r.t, r.val, r.q) for r in moving] == [("w", 7, 5.0, 1), ("tare", 7, 1.0, 1)]
    assert [(r.val, r.q) for r in readings(Shown("over", 99.0, "kg"), sensors, 7)] == [(None, 2), (None, 2)]


def test_the_unit_that_the_scale_says_is_held_against_the_configured_one() -> None:
    assert wrong_unit(Shown("stable", 1.0, "KG"), "kg") is None
    assert wrong_unit(Shown("stable", 1.0, "lb"), "kg") == "[lb_av]"
    assert wrong_unit(Shown("stable", 1.0, None), "kg") is None


def test_a_wrong_line_setting_is_named_in_words() -> None:
    def why(data: bytes, *, serial: bool = True) -> str | None:
        return why_unreadable(data, protocol="MT-SICS", is_serial=serial)

    text = b"S S      12.34 kg\r\n" * 4
    parity = bytes(byte | 0x80 * (byte.bit_count() % 2) for byte in text)
    noise = bytes((n * 37 + 128) % 256 for n in range(100))
    assert "baud rate is probably wrong" in why(noise)
    assert "data_bits 7 and parity even" in why(parity)
    assert "text, but not MT-SICS" in why(b"ST,GS,+  1.00kg\r\n" * 4)
    assert "serial device server" in why(noise, serial=False)
    assert why(b"S S") is None


@pytest.mark.parametrize(
    "source", ["/dev/ttyS0", "serial://ttyS0", "tcp://:5", "tcp://h", "udp://h:1", "tcp://h:99999"]
)
def test_an_impossible_source_is_a_configuration_error(source: str) -> None:
    with pytest.raises(ConfigurationError, match="tcp://host:port, or serial:///dev"):
        parse_source(source, SerialPort(), 3.0, "Scale s")


def test_sources_lead_to_ports() -> None:
    assert parse_source("tcp://h:5", SerialPort(), 3.0, "s") == TcpSource("h", 5, 3.0)
    serial = parse_source("serial:///dev/x", SerialPort(data_bits=7, parity="even"), 3.0, "s")
    assert serial == SerialSource("/dev/x", SerialPort(data_bits=7, parity="even"), 3.0)
    assert str(serial) == "/dev/x at 9600 baud 7E1"

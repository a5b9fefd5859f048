"""Pulses become a register and a rate: each counted once, across restarts; what nobody counted is said."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest
from edge_rig import until
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_pulse import PulseDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.drivers.pulse.driver import build
from sidestream_edge.drivers.pulse.gpio import EVENT, GET_LINE, REQUEST, GpioLine, request
from sidestream_edge.drivers.pulse.tally import Kept, Rate, step
from sidestream_simulators.pulses import PulseMeter

REGISTER = {"id": "e", "unit": "kW.h", "quantity": "energy", "start": 100.0}
RATE = {"id": "p", "unit": "kW", "quantity": "power"}


def section(source: str, **changes: object) -> dict:
    return {
        "id": "s0", "type": "pulse", "source": source, "per_unit": 1000, "period_s": 0.05, "register": REGISTER, **changes,
    }  # fmt: skip


def config(**changes: object) -> PulseDriver:
    return PulseDriver.model_validate(section("gpio:///dev/gpiochip0/17", rate=RATE, **changes))


@given(st.lists(st.integers(0, 200), max_size=30), st.sampled_from([8, 16, 32]))
def test_a_counter_that_rolls_over_loses_and_doubles_nothing(steps: list[int], bits: int) -> None:
    meter, kept = PulseMeter(pulses=2**bits - 300, bits=bits), Kept()
    total = 0
    for pulses in [0, *steps]:
        meter.run(min(pulses, 2 ** (bits - 1) - 1))
        total += min(pulses, 2 ** (bits - 1) - 1)
        went = step(kept, meter.pulses % 2**bits, boot=None, bits=bits)
        kept = Kept.parse(Kept(kept.pulses + went.pulses, meter.pulses % 2**bits, 1).text())
        assert went.gap is None
    assert kept.pulses == total


def test_a_reset_and_a_restarted_machine_are_gaps_and_what_came_after_them_counts() -> None:
    kept = Kept(500, 500, 1, "boot-1")
    assert step(kept, 20, boot=None, bits=None).pulses == 20
    assert "was reset" in step(kept, 20, boot=None, bits=32).gap
    restarted = step(kept, 600, boot="boot-2", bits=32)
    assert (restarted.pulses, "started again" in restarted.gap) == (600, True)
    assert step(kept, 600, boot="boot-1", bits=32).gap is None
    assert step(Kept(), 600, boot="boot-1", bits=32).pulses == 0


def test_the_rate_is_steady_between_pulses_and_falls_only_as_far_as_it_must() -> None:
    rate = Rate(config())
    assert rate.see(1, 0, 0) == (None, True)
    assert rate.see(1, 3_600_000, 4_000_000) == (pytest.approx(1.0), True)
    assert rate.see(0, 0, 7_000_000) == (pytest.approx(1.0), True)
    value, measured = rate.see(0, 0, 10_800_000)
    assert (value, measured) == (pytest.approx(0.5), False)
    rate.forget()
    assert rate.see(0, 0, 11_000_000) == (None, False)


@pytest.mark.server
def test_a_file_counter_goes_on_through_restarts_and_counts_what_came_meanwhile(tmp_path: Path, run_driver) -> None:
    meter, file = PulseMeter(pulses=70_000, bits=32), tmp_path / "count"
    source = f"counter://{file}"
    rig = run_driver(section(source))
    rig.said("is not there: no")
    meter.show(file)
    until(lambda: 100.0 in rig.values("e"), "the first value")
    meter.run(1_500)
    meter.show(file)
    until(lambda: rig.values("e")[-1] == 101.5, "counted")
    cursor = rig.stop()
    meter.run(500)
    meter.show(file)
    again = run_driver(section(source), cursor=cursor)
    until(lambda: again.values("e"), "after the restart")
    assert again.values("e")[0] == 102.0
    file.write_text("soon\n")
    again.said("'soon', which is no count")
    PulseMeter(pulses=20).show(file)
    until(lambda: again.values("e")[-1] == 102.02, "what came after the reset")
    assert "it was reset" in again.said("gaps")
    readings = again.readings("e")
    gap = max(n for n, reading in enumerate(readings) if reading.val is None)
    assert (readings[gap].q, readings[gap + 1].q) == (2, 1)
    until(lambda: again.readings("e")[-1].q == 0, "sure again")


@pytest.mark.server
def test_edges_of_a_line_are_counted_with_the_kernels_time_and_those_it_dropped(tmp_path: Path, run_driver) -> None:
    """Through a pipe: the very events of the kernel, cut anywhere."""
    pipe, meter = tmp_path / "17", PulseMeter()
    os.mkfifo(pipe)
    rig = run_driver(section(f"gpio://{pipe}/17", rate=RATE))
    with pipe.open("wb", buffering=0) as line:
        now_ns = time.time_ns()
        data = meter.edges(2, now_ns, 36_000_000)
        line.write(data[:60])
        line.write(data[60:])
        until(lambda: rig.values("e")[-1:] == [100.002], "two pulses")
        line.write(meter.edges(5, now_ns + 180_000_000, 36_000_000, dropped=3))
        until(lambda: rig.values("e")[-1] == 100.007, "five, though three were dropped")
        until(lambda: 100.0 in [round(v, 6) for v in rig.values("p") if v], "1 pulse in 36 ms of 1/1000 kWh: 100 kW")
        assert rig.status().counters["untimed"] == 3
        cursor = rig.stop()
        again = run_driver(section(f"gpio://{pipe}/17"), cursor=cursor)
        again.said("were not counted since")
        line.write(meter.edges(1, time.time_ns(), 1))
        until(lambda: again.values("e")[-1] == 100.008, "goes on where it was")
    assert next((r.val, r.q) for r in again.readings("e")) == (None, 2)
    assert next(r for r in again.readings("e") if r.val is not None).q == 1
    again.said("is gone")


def test_what_is_asked_of_the_kernel_has_the_sizes_of_its_header() -> None:
    """struct gpio_v2_line_request is 592 bytes, gpio_v2_line_event 48; the number of the call holds the size."""
    assert (REQUEST.size, EVENT.size, GET_LINE >> 16 & 0x3FFF) == (592, 48, 592)
    asked = request(17, config(debounce_ms=30, edge="rising", bias="down"))
    assert struct.unpack_from("=I", asked, 0) == (17,)
    assert asked[256:266] == b"sidestream"
    assert struct.unpack_from("=QI", asked, 288) == (1 << 2 | 1 << 4 | 1 << 9 | 1 << 11, 1)
    assert struct.unpack_from("=I4xI4xQ", asked, 320) == (3, 30_000, 1)
    assert struct.unpack_from("=II", asked, 560) == (1, 1024)


def test_what_is_no_gpio_chip_is_named(run_driver) -> None:
    run_driver(section("gpio:///dev/null/3")).said("is it a GPIO chip")
    run_driver(section("gpio:///dev/gpiochip99/3")).said("gpiodetect")


@pytest.mark.parametrize("source", ["gpio:///17", "gpio:///dev/gpiochip0/x", "counter://count"])
def test_an_impossible_source_is_a_configuration_error(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither gpio"):
        build(PulseDriver.model_validate(section(source)), tmp_path, None)


SIM = Path("/sys/kernel/config/gpio-sim")


@pytest.mark.skipif(not SIM.is_dir(), reason="the kernel module gpio-sim is not loaded, or configfs is not mounted")
def test_a_simulated_chip_of_the_kernel_gives_its_edges() -> None:
    bank = SIM / "sidestream" / "bank0"
    bank.mkdir(parents=True)
    try:
        (bank / "num_lines").write_text("4")
        (SIM / "sidestream" / "live").write_text("1")
        chip = (bank / "chip_name").read_text().strip()
        device = (SIM / "sidestream" / "dev_name").read_text().strip()
        pull = Path(f"/sys/devices/platform/{device}/{chip}/sim_gpio2/pull")
        line = GpioLine(f"/dev/{chip}", 2, config(debounce_ms=0, bias="none"))
        for _ in range(3):
            pull.write_text("pull-up")
            pull.write_text("pull-down")
        edges = line.read()
        assert edges is not None
        assert (edges.pulses, edges.unseen) == (3, 0)
        line.close()
    finally:
        (SIM / "sidestream" / "live").write_text("0")
        bank.rmdir()
        bank.parent.rmdir()

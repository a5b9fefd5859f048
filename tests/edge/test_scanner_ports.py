"""Scanners on a serial port and as a USB keyboard: real ports, real input events; unplugged, half a code, back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import time
import tty
from pathlib import Path

import pytest
from edge_rig import until

from sidestream_edge.drivers.scanner.hid import EVENT

pytestmark = pytest.mark.server

UINPUT = Path("/dev/uinput")


def scanner(source: str, **changes: object) -> dict:
    return {"id": "gate", "type": "scanner", "source": source, "sensor": "qr", **changes}


def events(text: str, t_s: int = 1_700_000_000) -> bytes:
    """Digits and `a` as a scanner types them, in the kernel's own layout, each with its SYN."""
    codes = {**{str(n): 1 + n for n in range(1, 10)}, "0": 11, "a": 30, "\n": 28}
    return b"".join(
        EVENT.pack(t_s, 5, 1, codes[char], down) + EVENT.pack(t_s, 5, 0, 0, 0) for char in text for down in (1, 0)
    )


def test_codes_arrive_over_a_serial_port_and_half_a_line_does_not(run_driver):
    master, slave = os.openpty()
    tty.setraw(slave)
    rig = run_driver(scanner(f"serial://{os.ttyname(slave)}", idle_s=0.3, prefix="~"))
    until(lambda: rig.status().state == "running", "open")
    os.write(master, b"~4711\r\n~part")
    until(lambda: rig.codes() == ["4711"], "the code")
    assert "not finished within 0.3 s: '~part'" in rig.said("half a line")
    os.write(master, b"~0815\r\n0816\r\n")
    until(lambda: rig.codes() == ["4711", "0815"], "the next code")
    rig.said("does not begin with the prefix")
    assert rig.status().counters == {"half_lines": 1, "bad_lines": 1}
    os.close(master)
    rig.said("can't be")
    os.close(slave)


def test_a_usb_scanner_gives_codes_with_the_kernels_time_and_is_missed_when_unplugged(tmp_path, run_driver):
    """Through a pipe: the very bytes of the input layer, cut anywhere."""
    pipe = tmp_path / "event-kbd"
    os.mkfifo(pipe)
    rig = run_driver(scanner(f"hid://{pipe}", idle_s=0.3))
    with pipe.open("wb", buffering=0) as keys:
        data = events("120\n0a")
        keys.write(data[:100])
        time.sleep(0.05)
        keys.write(data[100:])
        until(lambda: rig.codes() == ["120"], "the code")
        assert rig.scans()[0].t == 1_700_000_000_000_005
        rig.said("half a code of 2 characters")
        keys.write(events("7\n"))
        until(lambda: rig.codes() == ["120", "7"], "a whole code after half a one")
    pipe.unlink()
    rig.said("is not there: no")
    os.mkfifo(pipe)
    with pipe.open("wb", buffering=0) as keys:
        keys.write(events("8\n"))
        until(lambda: rig.codes()[-1] == "8", "plugged in again")


def test_what_is_no_input_device_is_refused_in_words(run_driver):
    run_driver(scanner("hid:///dev/null")).said("is no keyboard-like input device")
    run_driver(scanner("hid:///dev/input/by-id/none")).said("is it plugged in?")


@pytest.mark.skipif(not os.access(UINPUT, os.W_OK), reason="this machine has no /dev/uinput to make a keyboard with")
def test_a_real_input_device_is_grabbed(run_driver):
    """A keyboard made by uinput: its codes arrive, and nobody else may grab it."""
    with made_keyboard() as (path, type_):
        rig = run_driver(scanner(f"hid://{path}"))
        until(lambda: rig.status().state == "running", "grabbed")
        type_("42\n")
        until(lambda: rig.codes() == ["42"], "the code")
        with path.open("rb") as other, pytest.raises(OSError, match="busy"):
            fcntl.ioctl(other, 0x40044590, 1)


@contextlib.contextmanager
def made_keyboard():
    with UINPUT.open("wb", buffering=0) as device:
        fcntl.ioctl(device, 0x40045564, 1)
        for code in range(1, 120):
            fcntl.ioctl(device, 0x40045565, code)
        before = set(Path("/dev/input").glob("event*"))
        device.write(struct.pack("80sHHHHi", b"sidestream test", 3, 1, 1, 1, 0) + bytes(4 * 64 * 4))
        fcntl.ioctl(device, 0x5501)
        path = until(lambda: next(iter(set(Path("/dev/input").glob("event*")) - before), None), "the device")
        yield path, lambda text: device.write(events(text))


def test_a_scanner_that_floods_waits_for_the_outbox_and_loses_nothing(tmp_path, run_driver):
    pipe = tmp_path / "event-kbd"
    os.mkfifo(pipe)
    rig = run_driver(scanner(f"hid://{pipe}"))
    rig.hold()
    codes = [str(1000 + n) for n in range(500)]

    def feed() -> None:
        with pipe.open("wb", buffering=0) as keys:
            for code in codes:
                keys.write(events(f"{code}\n"))

    feeder = threading.Thread(target=feed)
    feeder.start()
    time.sleep(0.3)
    rig.storing.set()
    until(lambda: len(rig.codes()) == 500, "all codes")
    feeder.join(10)
    assert rig.codes() == codes

"""A scale as its protocols show it: what lies on it is set, and it answers as MT-SICS, Toledo or a printing indicator does.

`ScaleLine` serves it on a pseudo-terminal (a serial port to whoever opens `path`) or on a TCP port, like a serial device
server. Written from the protocols' descriptions, apart from the driver.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from dataclasses import dataclass
from typing import Literal

TICK_S = 0.02
Speech = Literal["sics", "toledo", "print"]


@dataclass(slots=True)
class SimulatedScale:
    """Weights in kg with two decimals, as in legal trade: `load_kg` on the platform, `tare_kg` taken off."""

    load_kg: float = 0.0
    tare_kg: float = 0.0
    is_still: bool = True
    limit_kg: float = 60_000.0
    unit: str = "kg"
    plate: str = ""

    @property
    def net_kg(self) -> float:
        """What the display shows."""
        return self.load_kg - self.tare_kg

    def sics(self, command: str) -> str:
        """The reply to one MT-SICS command; empty for one that is not answered at once."""
        if command in {"SI", "SIR", "S"}:
            return self._sics_weight(stable_only=command == "S")
        if command == "TA":
            return f"TA A {self.tare_kg:10.2f} {self.unit}\r\n"
        return "ES\r\n"

    def _sics_weight(self, *, stable_only: bool) -> str:
        if self.load_kg > self.limit_kg:
            return "S +\r\n"
        if self.load_kg < -0.02 * self.limit_kg:
            return "S -\r\n"
        if stable_only and not self.is_still:
            return "S I\r\n"
        return f"S {'S' if self.is_still else 'D'} {self.net_kg:10.2f} {self.unit}\r\n"

    def toledo(self) -> bytes:
        """One frame of the continuous output, with its checksum."""
        a = 0x30 | 0x08 | 4
        b = 0x20 | 0x10 * (self.unit == "kg") | 0x08 * (not self.is_still) | (0x01 if self.tare_kg else 0)
        b |= 0x02 * (self.net_kg < 0) | 0x04 * (self.load_kg > self.limit_kg)
        digits = f"{min(round(abs(self.net_kg) * 100), 999_999):6d}{round(self.tare_kg * 100):6d}"
        frame = b"\x02" + bytes((a, b, 0x20)) + digits.encode() + b"\r"
        return frame + bytes((-sum(frame) & 0x7F,))

    def printed(self) -> str:
        """One line as many indicators print it: state, net or gross, weight, unit, and the plate of the vehicle."""
        state = "OL" if self.load_kg > self.limit_kg else "ST" if self.is_still else "US"
        kind = "NT" if self.tare_kg else "GS"
        return f"{state},{kind},{self.net_kg:+10.2f} {self.unit}{',' + self.plate if self.plate else ''}\r\n"


class ScaleLine:
    """Serves one scale in a thread of its own, to one client at a time; a continuous one sends every `period_s`."""

    def __init__(
        self, scale: SimulatedScale, speech: Speech, *, period_s: float = 0.05, tcp_port: int | None = None
    ) -> None:
        self.scale = scale
        self.heard: list[str] = []
        self.path = ""
        self.port = 0
        self._speech = speech
        self._period_s = period_s
        self._sends = speech != "sics"
        self._rest = b""
        self._stop = threading.Event()
        self._silent = threading.Event()
        self._server = socket.create_server(("127.0.0.1", tcp_port)) if tcp_port is not None else None
        self._master = self._slave = -1
        if self._server is not None:
            self.port = self._server.getsockname()[1]
        else:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            self.path = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, name="scale", daemon=True)
        self._thread.start()

    def say(self, data: bytes) -> None:
        """Something else on the line: garbage, half a frame."""
        os.write(self._master, data)

    def be_silent(self, silent: bool = True) -> None:
        """From now on nothing is sent or answered; or it is again."""
        (self._silent.set if silent else self._silent.clear)()

    def lose_power(self) -> None:
        """It forgets that it was to send by itself."""
        self._sends = self._speech != "sics"

    def close(self) -> None:
        """Pulls the plug; may be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(5)
        if self._server is not None:
            self._server.close()
        else:
            os.close(self._master)
            os.close(self._slave)

    def _serve(self) -> None:
        if self._server is None:
            self._talk(self._master)
            return
        while not self._stop.is_set():
            ready, _, _ = select.select([self._server], [], [], TICK_S)
            if ready:
                with self._server.accept()[0] as peer, contextlib.suppress(OSError):
                    self._talk(peer.fileno())

    def _talk(self, handle: int) -> None:
        waited_s = 0.0
        self._rest = b""
        while not self._stop.is_set():
            ready, _, _ = select.select([handle], [], [], TICK_S)
            data = os.read(handle, 1024) if ready else b""
            if ready and not data:
                return
            waited_s = 0.0 if ready and not self._sends else waited_s + TICK_S
            if self._silent.is_set():
                continue
            self._answer(handle, data)
            if self._sends and waited_s >= self._period_s:
                waited_s = 0.0
                os.write(handle, self._line())

    def _answer(self, handle: int, data: bytes) -> None:
        *commands, self._rest = (self._rest + data).split(b"\r\n")
        for command in (text.decode("ascii", "replace") for text in commands):
            self.heard.append(command)
            if self._speech == "sics":
                self._sends = command == "SIR" or (self._sends and command == "TA")
                os.write(handle, self.scale.sics(command).encode())

    def _line(self) -> bytes:
        if self._speech == "toledo":
            return self.scale.toledo()
        return (self.scale.printed() if self._speech == "print" else self.scale.sics("SIR")).encode()

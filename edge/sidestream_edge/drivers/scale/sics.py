"""MT-SICS, Mettler-Toledo's standard command set, levels 0 and 1: `S S 12.34 kg` and its like. Pure.

`SI` asks for the weight now, `SIR` lets the scale go on sending, `TA` asks for the tare. In approved scales the digits
below the verification interval stand in brackets; they are read like the others. What it shows is net: tare is taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidestream_edge.drivers.lines import Fault, LineSplitter
from sidestream_edge.drivers.scale.shown import Shown, State

_WEIGHT = re.compile(r"S[IUX]? +(?P<state>[SDIL+-])(?: +(?P<value>[+-]? *\d*\.?\d+) +(?P<unit>\S+))?")
_TARE = re.compile(r"TA +A +(?P<value>[+-]? *\d*\.?\d+) +\S+")
_STATES: dict[str, State] = {
    "S": "stable", "D": "unstable", "I": "invalid", "L": "invalid", "+": "over", "-": "under",
}  # fmt: skip
_ERRORS = {
    "ES": "it does not know a command that was sent; does it speak MT-SICS?",
    "ET": "a command reached it damaged; check baud rate and parity",
    "EL": "a command can't be carried out now",
}


class Sics:
    """Replies become weights; remembers the tare that the scale told last."""

    def __init__(self, *, polled: bool, with_tare: bool) -> None:
        self.name = "MT-SICS"
        self.begin = b"" if polled else b"SIR\r\n"
        self.request = (b"TA\r\n" if with_tare else b"") + (b"SI\r\n" if polled else b"")
        self._tare: float | None = None
        self._lines = LineSplitter()

    def feed(self, data: bytes) -> Iterator[Shown | Fault]:
        """What the lines that `data` completes say."""
        for line in self._lines.feed(data):
            said = line if isinstance(line, Fault) else self._read(line.strip())
            if said is not None:
                yield said

    def cut(self) -> Fault | None:
        """Half a line that won't be finished."""
        return self._lines.cut()

    def _read(self, line: str) -> Shown | Fault | None:
        plain = line.replace("[", "").replace("]", "")
        if tare := _TARE.fullmatch(plain):
            self._tare = float(tare["value"].replace(" ", ""))
            return None
        weight = _WEIGHT.fullmatch(plain)
        if weight is None or (weight["state"] in "SD" and weight["value"] is None):
            why = _ERRORS.get(plain)
            return Fault("bad_lines", f"it answers {plain}: {why}" if why else f"{line[:40]!r} is no MT-SICS weight")
        value = float(weight["value"].replace(" ", "")) if weight["value"] else None
        return Shown(_STATES[weight["state"]], value, weight["unit"], net=True, tare=self._tare)

"""Toledo continuous output: STX, three status bytes, six digits of weight, six of tare, CR, perhaps a checksum. Pure.

The short form has no tare. The decimal point, the sign and what the weight is stand in the status bytes, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidestream_edge.drivers.lines import Fault
from sidestream_edge.drivers.scale.shown import Shown, State

_STX, _CR = 0x02, 0x0D
_FULL, _SHORT = 15, 9
_MOST = 64
_DECIMALS = (-2, -1, 0, 1, 2, 3, 4, 5)
"""Places behind the point, by bits 0-2 of status A; negative: zeros that are not sent."""

_UNITS = {0: None, 1: "g", 2: "t", 3: "oz", 4: "ozt"}
_NET, _NEGATIVE, _OUT_OF_RANGE, _MOTION, _KG, _NOT_ZEROED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x40
_EXPANDED = 0x10


class Toledo:
    """Frames become weights; nothing is asked, the scale sends by itself."""

    begin = b""
    request = b""

    def __init__(self, *, checksum: bool) -> None:
        self.name = "Toledo continuous output"
        self._checksum = checksum
        self._rest = b""
        self._broken = False

    def feed(self, data: bytes) -> Iterator[Shown | Fault]:
        """What the frames that `data` completes say."""
        self._rest += data
        while (end := self._rest.find(_CR)) >= 0:
            if self._checksum and end + 1 >= len(self._rest):
                return
            after = end + (2 if self._checksum else 1)
            chunk, self._rest = self._rest[:after], self._rest[after:]
            begin = chunk.rfind(_STX, 0, end)
            if not chunk.strip(b"\r\n"):
                continue
            if begin < 0:
                yield Fault("bad_lines", f"{chunk[-20:].hex(' ')} is no frame: it has no STX")
            else:
                yield self._frame(chunk[begin:])
        self._rest = self._rest[-_MOST:]

    def cut(self) -> Fault | None:
        """Half a frame that won't be finished."""
        half, self._rest = self._rest, b""
        begin = half.rfind(_STX)
        return Fault("half_lines", f"half a frame: {half[begin:].hex(' ')}; not taken") if begin >= 0 else None

    def _frame(self, frame: bytes) -> Shown | Fault:
        if self._checksum and sum(byte & 0x7F for byte in frame) & 0x7F:
            return Fault("bad_lines", f"the checksum of {frame.hex(' ')} is wrong; not taken")
        body = frame[1 : -2 if self._checksum else -1]
        if len(body) not in {_FULL, _SHORT} or any(not 0x20 <= byte < 0x80 for byte in body[:3]):
            return Fault("bad_lines", f"{frame[:24].hex(' ')} is no frame: {len(body)} bytes between STX and CR")
        return _shown(body)


def _shown(body: bytes) -> Shown | Fault:
    a, b, c = body[0], body[1], body[2]
    if b & _OUT_OF_RANGE:
        return Shown("under" if b & _NEGATIVE else "over")
    if c & _EXPANDED:
        return Shown("invalid", note="its display is expanded ×10, a mode for service; switch that off")
    try:
        value, tare = _number(body[3:9], a), _number(body[9:15], a) if len(body) == _FULL else None
    except ValueError:
        return Fault("bad_lines", f"{body[3:]!r} is no weight of six digits")
    state: State = "unstable" if b & _MOTION else "stable"
    unit = _UNITS.get(c & 7, "custom") if c & 7 else ("kg" if b & _KG else "lb")
    note = "it was not set to zero since its power came back" if b & _NOT_ZEROED else None
    return Shown(state, -value if b & _NEGATIVE else value, unit, bool(b & _NET), tare, note=note)


def _number(digits: bytes, a: int) -> float:
    text = digits.decode("ascii").strip()
    if not text.isdigit():
        raise ValueError(text)
    return float(f"{text}e{-_DECIMALS[a & 7]}")

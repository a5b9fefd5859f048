"""Says in words why bytes on a line make no sense: a wrong baud rate, a wrong parity, or another protocol. Pure.

A wrong baud rate or number of data bits gives bytes that are mostly no text. Seven data bits with parity, read as eight
without, give text once the top bit is taken away.
"""

from __future__ import annotations

_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\r\n\t\x02\x03")
ENOUGH_BYTES = 32
"""Fewer bytes than that say nothing."""

_MOSTLY = 0.75
_NEARLY_ALL = 0.97


def why_unreadable(data: bytes, *, protocol: str, is_serial: bool) -> str | None:
    """A sentence about `data`, of which nothing could be used; None where it is too little to tell.

    `protocol` names what was expected.
    """
    if len(data) < ENOUGH_BYTES:
        return None
    if _share(data) >= _MOSTLY:
        return (
            f"what comes is text, but not {protocol}: {_last(data)!r}; check `protocol` and the device's output format"
        )
    if not is_serial:
        return f"what comes is no text ({data[-16:].hex(' ')}): check the baud rate of the serial device server"
    if _share(bytes(byte & 0x7F for byte in data)) >= _NEARLY_ALL:
        return "what comes is text with a parity bit: set data_bits 7 and parity even (or odd)"
    return (
        f"what comes is no text ({data[-16:].hex(' ')}): the baud rate is probably wrong;"
        " set `serial.baud` (and data_bits, parity) as in the device's menu"
    )


def _share(data: bytes) -> float:
    return sum(byte in _TEXT for byte in data) / len(data)


def _last(data: bytes) -> str:
    lines = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line.strip()]
    return lines[-1][-40:].decode("ascii", errors="replace") if lines else ""

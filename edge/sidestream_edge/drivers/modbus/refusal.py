"""What the exception codes of a Modbus device mean, in words, and what to do. Pure.

Modbus Application Protocol 1.1b3, 7.
"""

from __future__ import annotations

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY = 1, 2, 3, 6
NOBODY_BEHIND = (10, 11)
"""A gateway answers in place of a device that it can't reach."""

_MEANING = {
    1: ("illegal function", "The device has no such table; try another `table`."),
    2: ("illegal data address", "Check register (many manuals count from 1 or 40001, here from 0), table and type."),
    3: ("illegal data value", "It can't be asked for so many registers at once, or for half a value; check type."),
    4: ("device failure", "The device says that it is broken; look at it."),
    5: ("acknowledge", "It needs time; asked again at the next poll."),
    6: ("device busy", "Asked again at the next poll; a longer period_s may help."),
    8: ("memory parity error", "The device says that its memory is broken."),
    10: ("gateway path unavailable", "The gateway has no line to this unit_id; check unit_id and the gateway's settings."),
    11: ("gateway target did not answer", "The gateway is there, the device behind it is not; check unit_id, its wiring and power."),
}  # fmt: skip


def meaning(code: int) -> str:
    """`exception 2, illegal data address`."""
    return f"exception {code}, {_MEANING.get(code, ('unknown', ''))[0]}"


def advice(code: int) -> str:
    """What to do about it, as a sentence."""
    return _MEANING.get(code, ("", "See the device's manual."))[1]


def is_too_much(code: int) -> bool:
    """Whether the same registers may be had when asked for in smaller parts."""
    return code in (ILLEGAL_ADDRESS, ILLEGAL_VALUE)

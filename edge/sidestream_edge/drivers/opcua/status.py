"""What a StatusCode says: good, uncertain or bad, its name and meaning, and whether the server's queue ran over. Pure.

Layout of the 32 bits: OPC 10000-4 (v1.05), 7.39; severity in the top two, condition in the upper half, flags below.
"""

from __future__ import annotations

from functools import cache

from sidestream_contracts.frame import Quality

_CONDITION = 0xFFFF0000
_SEVERITY = 0xC0000000
_UNCERTAIN = 0x40000000
_OVERFLOW = 0x0480
"""Info type "data value" and the overflow flag."""


def quality(code: int) -> Quality:
    """Good and uncertain as the server says; everything else, reserved severities too, is bad."""
    if not code & _SEVERITY:
        return Quality.GOOD
    return Quality.UNCERTAIN if code & _SEVERITY == _UNCERTAIN else Quality.BAD


def overflowed(code: int) -> bool:
    """Whether values before (or after) this one were thrown away because the server's queue was full."""
    return code & _OVERFLOW == _OVERFLOW


def name(code: int) -> str:
    """`BadSensorFailure`; the number in hex where the specification names none."""
    known = _names().get(code & _CONDITION)
    return known[0] if known else f"0x{code:08X}"


def words(code: int) -> str:
    """`BadSensorFailure: a failure in the sensor was detected`."""
    known = _names().get(code & _CONDITION)
    return f"{known[0]}: {known[1].rstrip('.')}" if known else f"0x{code:08X}, which the specification does not name"


@cache
def _names() -> dict[int, tuple[str, str]]:
    from asyncua.ua.status_codes import code_to_name_doc

    return dict(code_to_name_doc)

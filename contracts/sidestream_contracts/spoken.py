"""What people write for others to read: reasons, names, notes. It is kept for years and shown on other people's terminals."""

from __future__ import annotations

import re

from sidestream_contracts.errors import DomainError

_STEERS = re.compile("(?!\r\n)[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, unpaired surrogates, and the marks that turn the direction of writing."""


def readable(text: str, what: str) -> str:
    """The text, stripped, in which nothing can steer a terminal; new lines and tabs may stand in it.

    Raises DomainError, with `what` as its subject, for a character that could.
    """
    found = _STEERS.search(text)
    if found is not None:
        raise DomainError(
            f"{what} has a character at place {found.start() + 1} that can't be shown (U+{ord(found.group()):04X}); "
            "write it without."
        )
    return text.strip()

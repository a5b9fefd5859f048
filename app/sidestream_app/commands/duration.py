"""A length of time as people write it after `--for`."""

from __future__ import annotations

import re

from sidestream_contracts.errors import ConfigurationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?")
_SHORTEST_S = 1.0
_UNIT_S = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """A length of time as a user writes it after `--for`; ConfigurationError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"--for {text!r} is no length of time; write e.g. 60s, 5m or 1h.")
    seconds = float(match[1]) * _UNIT_S[match[2]]
    if seconds < _SHORTEST_S:
        raise ConfigurationError(
            f"--for {text!r} is too short to measure anything; the shortest is {_SHORTEST_S:.0f}s."
        )
    return seconds

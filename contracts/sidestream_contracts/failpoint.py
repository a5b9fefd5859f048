"""Places in the code at which a test can have the process die, at an exact moment that no random kill would hit.

`SIDESTREAM_FAILPOINT=ingest.after_commit@3` kills the process with SIGKILL when it reaches that point for the third
time; several are given with a comma between them. Without the variable a point costs one look at an empty dictionary.
"""

from __future__ import annotations

import os
import signal

from sidestream_contracts.errors import ConfigurationError

VARIABLE = "SIDESTREAM_FAILPOINT"
INGEST_POINTS = (
    "ingest.before_commit",
    "ingest.after_commit",
    "ingest.before_ack",
    "ingest.after_ack",
    "ingest.before_puback",
    "ingest.after_puback",
)
EDGE_POINTS = (
    "edge.before_store",
    "edge.after_store",
    "edge.after_publish",
    "edge.before_delete",
    "edge.after_delete",
)
SPOOL_POINTS = ("edge.before_pack", "edge.after_pack")
"""Reached only after an outage during which live readings were spooled."""

POINTS = frozenset((*INGEST_POINTS, *EDGE_POINTS, *SPOOL_POINTS))

_passes_left: dict[str, int] = {}


def arm() -> None:
    """The points named in SIDESTREAM_FAILPOINT are armed; to be called once, at the start of a process.

    ConfigurationError for a point that does not exist or a pass that is no number from 1.
    """
    _passes_left.clear()
    for part in filter(None, (text.strip() for text in os.environ.get(VARIABLE, "").split(","))):
        name, _, passes = part.partition("@")
        if name not in POINTS:
            raise ConfigurationError(f"{VARIABLE}: there is no point {name!r}; known: {', '.join(sorted(POINTS))}.")
        if not (passes or "1").isdecimal() or int(passes or "1") < 1:
            raise ConfigurationError(f"{VARIABLE}: {part!r} must end in @ and a number from 1, or in no @ at all.")
        _passes_left[name] = int(passes or "1")


def reach(point: str) -> None:
    """Does not return if `point` is armed and this is the pass at which the process is to die."""
    if not _passes_left or point not in _passes_left:
        return
    _passes_left[point] -= 1
    if _passes_left[point] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

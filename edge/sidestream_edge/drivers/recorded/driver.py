"""A CSV with its own timestamps: played once to its end, or followed while a logger writes it."""

from __future__ import annotations

from pathlib import Path

from sidestream_contracts.edge import EdgeFile, RecordedDriver
from sidestream_edge.drivers.recorded.follow import Followed
from sidestream_edge.drivers.recorded.playing import Recorded


def build(config: RecordedDriver, base: Path, _edge: EdgeFile) -> Recorded:
    """The driver for one file."""
    return Followed(config, base) if config.follow else Recorded(config, base)

"""What an edge says of its own clock when it sends a frame: user properties `sent` and `sync`, both optional.

They explain a reading's time and are never a reason to refuse it: what is missing or makes no sense counts as not said.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sidestream_contracts.frame import ClockSync
from sidestream_store.batch import Sending

_LATEST_US = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_CLOCKS: dict[str, ClockSync] = {"synced": "synced", "unsynced": "unsynced"}


def read_sending(properties: Iterable[tuple[str, str]]) -> Sending:
    """When the edge's clock says the frame was sent, and whether that clock follows a time server."""
    sent, clock = "", ""
    for name, value in properties:
        if name == "sent":
            sent = value
        elif name == "sync":
            clock = value
    return Sending(_moment(sent), _CLOCKS.get(clock, "unknown"))


def _moment(text: str) -> int | None:
    if not (text.isdecimal() and text.isascii() and len(text) <= 16 and int(text) <= _LATEST_US):
        return None
    return int(text)

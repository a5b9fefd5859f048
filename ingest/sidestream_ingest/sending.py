"""What an edge says of its own clock when it sends a frame: user properties `sent` and `sync`, both optional.

They explain a reading's time and are never a reason to refuse it: what is missing or makes no sense counts as not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sidestream_contracts.frame import ClockSync
from sidestream_store.batch import Sending

_MICROS = re.compile(r"[0-9]{1,16}", re.ASCII)
_LATEST_US = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
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


def _moment(text: str) -> datetime | None:
    if not _MICROS.fullmatch(text) or int(text) > _LATEST_US:
        return None
    return _UNIX + timedelta(microseconds=int(text))

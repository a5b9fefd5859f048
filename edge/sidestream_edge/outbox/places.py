"""A frame in the outbox and where it stands; how much waits."""

from __future__ import annotations

from dataclasses import dataclass

from sidestream_contracts.frame import FrameKey
from sidestream_edge.outbox.aside import MessageChannel


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a frame stands in its lane: older epochs first, then by seq."""

    epoch_id: int
    seq: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A frame in the outbox with its key."""

    place: Place
    key: FrameKey
    channel: MessageChannel
    payload: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """Frames and bytes that wait in one lane."""

    frames: int = 0
    size_bytes: int = 0

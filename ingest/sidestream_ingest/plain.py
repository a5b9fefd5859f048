"""The fast way through the door: frames of readings with nothing unusual about them, decoded and checked as columns.

It takes a frame only if every reading of it is good; all else is left to `check`, which says what is wrong with which
reading. For each frame that this module takes, `check` would have given the same result (a property test holds it so).

All frames of a batch are checked at once, since numpy costs the same for ten readings as for ten thousand. And since the
frames of a gateway are alike but for times and values, what their other columns say is remembered (`layout`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidestream_contracts.frame import MAX_READINGS, FrameKey
from sidestream_ingest.layout import Layout, Layouts
from sidestream_ingest.values import LARGEST, SMALLEST, Bounds
from sidestream_store.batch import CheckedFrame, Readings, Sending
from sidestream_store.quarantine import Message

Micros = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A frame of readings as contract v1 names it; numbers where numbers belong, and not one field more."""

    v: Literal[1]
    kind: Literal["readings"]
    sensors: tuple[str, ...]
    i: msgspec.Raw
    t: list[Micros]
    val: list[float | None]
    q: msgspec.Raw
    clock: Literal["live", "recorded"] | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Plain).decode
_REQUIRED_FIELDS = 7


class Arrived(NamedTuple):
    """A message whose sender and key are known."""

    message: Message
    key: FrameKey
    device_id: int
    sending: Sending


class _Candidate(NamedTuple):
    """A frame that is good but for times and values, which are looked at together with those of the others."""

    place: int
    frame: _Plain
    layout: Layout
    bounds: Bounds


def read_plain(arrived: Sequence[Arrived], layouts: Layouts) -> list[CheckedFrame | None]:
    """For each message the checked frame, or None where anything at all is unusual."""
    found: list[CheckedFrame | None] = [None] * len(arrived)
    candidates = [c for place, one in enumerate(arrived) if (c := _candidate(place, one, layouts)) is not None]
    if not candidates:
        return found
    ends = np.cumsum([len(c.frame.t) for c in candidates])
    time_us = np.array([t for c in candidates for t in c.frame.t], np.int64)
    value = np.array([v for c in candidates for v in c.frame.val], np.float64)
    sensor_id = np.concatenate([c.layout.sensor_id for c in candidates])
    quality = np.concatenate([c.layout.quality for c in candidates])
    good = _good(candidates, ends, time_us, value)
    start = 0
    for c, end, is_good in zip(candidates, ends.tolist(), good, strict=True):
        if is_good:
            mine = slice(start, end)
            message, key, device_id, sending = arrived[c.place]
            readings = Readings(time_us[mine], sensor_id[mine], c.layout.stored(value[mine]), quality[mine])
            recorded = c.bounds.recorded
            found[c.place] = CheckedFrame(device_id, key, "readings", message, recorded, readings, sending=sending)
        start = end
    return found


def _candidate(place: int, arrived: Arrived, layouts: Layouts) -> _Candidate | None:
    message, _, device_id, _ = arrived
    if not message.topic.endswith("/readings"):
        return None
    try:
        frame = _decode(message.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    count = len(frame.t)
    if not 0 < count <= MAX_READINGS or len(frame.val) != count or not _named_once(message.raw, frame):
        return None
    layout = layouts.of(device_id, frame.sensors, bytes(frame.i), bytes(frame.q))
    if layout is None or len(layout.sensor_id) != count:
        return None
    bounds = Bounds.at_door(layouts.catalogue, message.received_at, recorded=frame.clock == "recorded")
    if not bounds.recorded:
        bounds = bounds.since(layouts.catalogue.dropped_before_us)
    return _Candidate(place, frame, layout, bounds)


def _good(
    candidates: Sequence[_Candidate],
    ends: NDArray[np.intp],
    time_us: NDArray[np.int64],
    value: NDArray[np.float64],
) -> list[bool]:
    """Which frames have every time within their bounds and every value of sane size; afterwards what is next to zero is zero."""
    starts = np.concatenate(([0], ends[:-1]))
    size = np.abs(value)
    earliest, latest = np.minimum.reduceat(time_us, starts), np.maximum.reduceat(time_us, starts)
    in_time = (earliest >= [c.bounds.from_us for c in candidates]) & (latest <= [c.bounds.to_us for c in candidates])
    sane = ~(np.fmax.reduceat(size, starts) > LARGEST)
    value[size < SMALLEST] = 0.0
    return (in_time & sane).tolist()  # type: ignore[no-any-return]


def _named_once(raw: bytes, frame: _Plain) -> bool:
    """Whether no field stands there twice, which the decoder lets pass.

    Without a backslash each quotation mark begins or ends a text; so there are as many as the texts that were kept need,
    and a field that was overwritten would have brought more.
    """
    texts = _REQUIRED_FIELDS + 1 + len(frame.sensors) + (0 if frame.clock is msgspec.UNSET else 2)
    return b"\\" not in raw and raw.count(b'"') == 2 * texts

"""Reads become enter and leave events: of each tag at one place at a time, alternating, each told once.

An adaptive window per tag and place (`window`) says when a tag has left. Where several places read it at once (antennas
overlap, a neighbour's field reaches over) it is at the one that reads it clearly more often. Nothing here knows a
clock: `advance` says how far time has come, `skip_to` that nobody was looking until then.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from sidestream_edge.rfid.events import Event, Read
from sidestream_edge.rfid.window import ReadRate, Window

_USUAL_MEMORY = 0.999
"""What is usual at a place is told by the last thousand gaps there."""

MOST_TAGS = 20_000
"""Tags that are followed at once; reads of further ones are counted and not used."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """`epoch_s`: about one inventory round. `delta`: probability that a silence of a tag that is there is taken for its
    leaving. `expected_rate`: reads per epoch before any are counted. `enter_epochs`: epochs with a read that make an enter.
    """

    epoch_s: float = 0.2
    delta: float = 1e-5
    expected_rate: float = 0.5
    enter_epochs: int = 2


@dataclass(slots=True)
class _Seen:
    """All reads of one tag at one place in one epoch; the order in which they came leaves no trace."""

    first_us: int
    last_us: int
    rssi_dbm: float | None

    def add(self, read: Read) -> None:
        self.first_us = min(self.first_us, read.t_us)
        self.last_us = max(self.last_us, read.t_us)
        self.rssi_dbm = _stronger(self.rssi_dbm, read.rssi_dbm)


@dataclass(slots=True)
class _Track:
    """One tag at one place since its first read there."""

    window: Window
    first_us: int
    last_us: int
    rssi_dbm: float | None = None
    blind_s: float = 0.0
    """Of the present silence, how long nobody looked."""

    def add(self, seen: _Seen) -> None:
        self.last_us = max(self.last_us, seen.last_us)
        self.first_us = min(self.first_us, seen.first_us)
        self.rssi_dbm = _stronger(self.rssi_dbm, seen.rssi_dbm)
        self.blind_s = 0.0


@dataclass(slots=True)
class _Tag:
    tracks: dict[str, _Track] = field(default_factory=dict)
    at: str | None = None
    left_us: int | None = None
    """Time of its last leave."""


class Smoother:
    """Events of all tags of one reader. The same reads in any order within an epoch give the same events."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._smoothing = smoothing
        self._epoch_us = round(smoothing.epoch_s * 1e6)
        self._tags: dict[str, _Tag] = {}
        self._waiting: dict[int, dict[tuple[str, str], _Seen]] = {}
        self._next: int | None = None
        self._usual: dict[str, ReadRate] = {}
        self.refused = 0
        """Reads that were not used because too many tags are followed already."""

    @property
    def tags(self) -> int:
        """How many tags are followed now."""
        return len(self._tags)

    def present(self) -> dict[str, str]:
        """Where each tag is that has come and not left."""
        return {name: tag.at for name, tag in self._tags.items() if tag.at is not None}

    def add(self, reads: Iterable[Read]) -> None:
        """Takes reads in; one of an epoch that is closed already counts for the oldest that is open, with its own time."""
        for read in reads:
            epoch = read.t_us // self._epoch_us
            if self._next is None:
                self._next = epoch
            seen = self._waiting.setdefault(max(epoch, self._next), {})
            known = seen.get((read.tag, read.place))
            if known is None:
                seen[read.tag, read.place] = _Seen(read.t_us, read.t_us, read.rssi_dbm)
            else:
                known.add(read)

    def advance(self, to_us: int, blind: Collection[str] = ()) -> list[Event]:
        """Closes every epoch that ended by `to_us`; at places in `blind` silence means nothing."""
        events: list[Event] = []
        stop = to_us // self._epoch_us
        while self._next is not None and self._next < stop:
            if not self._tags and self._next not in self._waiting:
                self._next = min([epoch for epoch in self._waiting if epoch < stop], default=stop)
                continue
            epoch, self._next = self._next, self._next + 1
            events += self._close(epoch, self._waiting.pop(epoch, {}), blind)
        return events

    def skip_to(self, to_us: int) -> list[Event]:
        """Nobody looked from the last read taken until `to_us`: no tag counts as silent in that time.

        `to_us` may be earlier than what was told before, where the clock was set back: what is followed goes on from there.
        """
        newest = max(self._waiting, default=None)
        events = self.advance((newest + 1) * self._epoch_us) if newest is not None else []
        stop = to_us // self._epoch_us
        if self._next is None or stop == self._next:
            return events
        skipped_s = max(0, stop - self._next) * self._smoothing.epoch_s
        self._next = stop
        for tag in self._tags.values():
            tag.left_us = None if tag.left_us is None else min(tag.left_us, to_us)
            for track in tag.tracks.values():
                track.blind_s += skipped_s
                track.first_us, track.last_us = min(track.first_us, to_us), min(track.last_us, to_us)
        return events

    def _close(self, epoch: int, seen: dict[tuple[str, str], _Seen], blind: Collection[str]) -> Iterator[Event]:
        by_tag: dict[str, dict[str, _Seen]] = defaultdict(dict)
        for (name, place), found in sorted(seen.items()):
            by_tag[name][place] = found
        decided_us = (epoch + 1) * self._epoch_us
        for name in sorted({*self._tags, *by_tag}):
            if name not in self._tags:
                if len(self._tags) >= MOST_TAGS:
                    self.refused += 1
                    continue
                self._tags[name] = _Tag()
            tag = self._tags[name]
            self._age(tag, by_tag.get(name, {}), blind)
            yield from self._conclude(name, tag, decided_us)
            if not tag.tracks:
                del self._tags[name]

    def _age(self, tag: _Tag, seen: dict[str, _Seen], blind: Collection[str]) -> None:
        for place, found in seen.items():
            if place not in tag.tracks:
                window = Window(self._expected(place), self._smoothing.delta)
                tag.tracks[place] = _Track(window, found.first_us, found.last_us)
            elif place == tag.at:
                self._usual[place].gap(tag.tracks[place].window.silent + 1)
            tag.tracks[place].add(found)
        for place, track in tag.tracks.items():
            if place in seen or place not in blind:
                track.window.close(read=place in seen)
            else:
                track.blind_s += self._smoothing.epoch_s

    def _expected(self, place: str) -> float:
        """At which rate a tag is read of which nothing is known: that of others here, once there were some."""
        return self._usual.setdefault(place, ReadRate(self._smoothing.expected_rate, _USUAL_MEMORY)).value

    def _conclude(self, name: str, tag: _Tag, decided_us: int) -> Iterator[Event]:
        """What this epoch tells of one tag; tracks that are over are gone afterwards."""
        before = tag.at
        if before is not None:
            yield from self._end(name, tag, before, decided_us)
        if tag.at is None:
            place = _busiest(tag.tracks, self._smoothing.enter_epochs)
            if place is not None:
                yield self._enter(name, place, tag, decided_us)
                tag.at = place
        over = [place for place, track in tag.tracks.items() if place != tag.at and track.window.is_over]
        if before is None and tag.at is None and len(over) == len(tag.tracks):
            yield from self._glimpsed(name, tag, decided_us)
        for place in over:
            del tag.tracks[place]

    def _end(self, name: str, tag: _Tag, place: str, decided_us: int) -> Iterator[Event]:
        """The leave, where its place has been silent too long or another one reads it clearly more often."""
        here = tag.tracks[place]
        rivals = {p: t for p, t in tag.tracks.items() if p != place}
        rival = _busiest(rivals, self._smoothing.enter_epochs)
        confidence = _lead(rivals[rival], here) if rival is not None else None
        if confidence is None and not here.window.is_over:
            return
        del tag.tracks[place]
        tag.at, tag.left_us = None, here.last_us
        for p, track in rivals.items():
            if track.window.seen(here.window.silent) < self._smoothing.enter_epochs and confidence is None:
                del tag.tracks[p]  # what was read beside it while it was here tells no new place
        yield self._leave(name, place, here, decided_us, confidence, moved=bool(tag.tracks))

    def _glimpsed(self, name: str, tag: _Tag, decided_us: int) -> Iterator[Event]:
        """A tag that was read too seldom for an enter and is gone: it was there, and that is told, as uncertain."""
        place = _busiest(tag.tracks, 1)
        if place is not None:
            yield self._enter(name, place, tag, decided_us)
            yield self._leave(name, place, tag.tracks[place], decided_us, None, moved=False)

    def _enter(self, name: str, place: str, tag: _Tag, decided_us: int) -> Event:
        """Its confidence is the rule of succession: how probable the next read is one at this place."""
        track = tag.tracks[place]
        elsewhere = sum(t.window.seen(t.window.size) for p, t in tag.tracks.items() if p != place)
        here = track.window.reads
        t_us = track.first_us if tag.left_us is None else max(track.first_us, tag.left_us)
        overlap_s = (t_us - track.first_us) / 1e6
        return Event(
            "enter", name, place, t_us, self._sd_s(track, overlap_s), (here + 1) / (here + elsewhere + 2), decided_us,
            here, track.rssi_dbm,
        )  # fmt: skip

    def _leave(
        self, name: str, place: str, track: _Track, decided_us: int, confidence: float | None, *, moved: bool
    ) -> Event:
        sd_s, reads = self._sd_s(track, track.blind_s), track.window.reads
        sure = track.window.confidence if confidence is None else confidence
        return Event("leave", name, place, track.last_us, sd_s, sure, decided_us, reads, track.rssi_dbm, moved=moved)

    def _sd_s(self, track: _Track, within_s: float) -> float:
        """Of the true moment around the first or last read: missed epochs are geometric, a known span is uniform."""
        rate, epoch_s = track.window.rate, self._smoothing.epoch_s
        return math.sqrt((1 - rate) / rate**2 * epoch_s**2 + (epoch_s**2 + within_s**2) / 12)


def _busiest(tracks: dict[str, _Track], least: int) -> str | None:
    """The place with the most read epochs of late, then the strongest signal, then the first name; at least `least`."""
    found = [place for place, track in tracks.items() if track.window.reads >= least]
    return min(found, key=lambda p: (-_recent(tracks[p]), -(tracks[p].rssi_dbm or -200.0), p), default=None)


def _recent(track: _Track) -> int:
    return track.window.seen(track.window.size)


def _lead(rival: _Track, here: _Track) -> float | None:
    """Share of the rival's reads, where they exceed those here by more than two standard deviations of the difference."""
    epochs = min(rival.window.size, here.window.size)
    theirs, ours = rival.window.seen(epochs), here.window.seen(epochs)
    return (theirs + 1) / (theirs + ours + 2) if theirs - ours > 2 * math.sqrt(theirs + ours) else None


def _stronger(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)

"""Reads of one reader become scans: antenna → place, smoothing, passages, and which scanner of the hub each event is told as.

Pure but for what it is told: the driver brings reads and the time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from sidestream_contracts.edge_rfid import LlrpDriver
from sidestream_contracts.frame import Quality
from sidestream_edge.drivers.llrp.codes import code_of
from sidestream_edge.measurement import Scan
from sidestream_edge.rfid.events import Event, Read
from sidestream_edge.rfid.passages import Passages
from sidestream_edge.rfid.smoother import Smoother, Smoothing

UNSURE = 0.7
"""Below this confidence an event is told as uncertain: an enter after a single read, or one with as many elsewhere."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A tag was read by an antenna at `t_us` (µs UTC); not `is_timed`: by a clock that is known to be off or unknown."""

    t_us: int
    epc: bytes
    antenna: int
    rssi_dbm: float | None
    is_timed: bool = True


class Portal:
    """Everything that is known of the tags of one reader; lives as long as the driver, longer than a connection."""

    def __init__(self, config: LlrpDriver) -> None:
        self._config = config
        self._place = {antenna: place for place in config.places for antenna in place.antennas}
        self._places = {place.id: place for place in config.places}
        told = config.smoothing
        self._smoother = Smoother(Smoothing(told.epoch_s, told.delta, enter_epochs=told.enter_epochs))
        self._sensor = {(passage.from_, passage.to): passage.sensor for passage in config.passages}
        self._passages = Passages(self._sensor, told.passage_s)
        self._untimed = False
        self.weak = 0
        """Reads below their place's `min_rssi_dbm`."""
        self.elsewhere = 0
        """Reads of antennas that watch no place."""

    @property
    def tags(self) -> int:
        """Tags that are followed now."""
        return self._smoother.tags

    @property
    def refused(self) -> int:
        """Reads of more tags than can be followed."""
        return self._smoother.refused

    def add(self, sightings: Iterable[Sighting]) -> tuple[Scan, ...]:
        """Takes reads in; the raw scans of them, where they are to be kept."""
        raw: list[Scan] = []
        for sighting in sightings:
            place = self._place.get(sighting.antenna)
            code = code_of(sighting.epc, self._config.codes)
            self._untimed = not sighting.is_timed
            if place is None:
                self.elsewhere += 1
                continue
            if self._config.keep_raw:
                quality = Quality.GOOD if sighting.is_timed else Quality.UNCERTAIN
                sensor = self._config.raw_sensor(sighting.antenna)
                raw.append(Scan(sensor, sighting.t_us, code, sighting.rssi_dbm, quality))
            if place.min_rssi_dbm is not None and (sighting.rssi_dbm or 0.0) < place.min_rssi_dbm:
                self.weak += 1
                continue
            self._smoother.add([Read(sighting.t_us, code, place.id, sighting.rssi_dbm)])
        return tuple(raw)

    def advance(self, to_us: int, off: Collection[int] = ()) -> tuple[Scan, ...]:
        """Scans of what has become certain by `to_us`; `off`: antennas that are not connected."""
        blind = [place.id for place in self._config.places if all(a in off for a in place.antennas)]
        return tuple(self._scans(self._smoother.advance(to_us, blind)))

    def skip_to(self, to_us: int) -> tuple[Scan, ...]:
        """Nobody looked until `to_us`: the reader was away, or has lost reads."""
        return tuple(self._scans(self._smoother.skip_to(to_us)))

    def _scans(self, events: Iterable[Event]) -> Iterator[Scan]:
        for event in events:
            place = self._places[event.place]
            if event.kind == "enter" and place.sensor is not None:
                yield self._scan(place.sensor, event)
            if event.kind == "leave" and place.left is not None and not event.moved:
                yield self._scan(place.left, event)
            passage = self._passages.add(event)
            if passage is not None and passage.origin is not None:
                yield self._scan(self._sensor[passage.origin, passage.place], passage)

    def _scan(self, sensor: str, event: Event) -> Scan:
        unsure = self._untimed or event.confidence < UNSURE
        return Scan(sensor, event.t_us, event.tag, event.rssi_dbm, Quality.UNCERTAIN if unsure else Quality.GOOD)

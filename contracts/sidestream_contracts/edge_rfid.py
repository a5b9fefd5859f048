"""The part of `edge.yaml` that reads UHF RFID tags over LLRP: antennas, the places they watch, and what is told of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge_brokers import Host, Port
from sidestream_contracts.edge_driver import DriverPart
from sidestream_contracts.ids import ID_PATTERN, Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

Antenna = Annotated[int, Field(ge=1, le=255)]


class LlrpPlace(FilePart):
    """What one or more antennas watch: a door, one side of a gate, a shelf."""

    id: Id
    antennas: list[Antenna] = Field(min_length=1, description="ports of the reader, from 1")
    sensor: Id | None = Field(default=None, description="scanner in hub.yaml as whose scan an enter is told")
    left: Id | None = Field(default=None, description="scanner in hub.yaml as whose scan a leave is told")
    min_rssi_dbm: Annotated[float, Field(ge=-120, le=0)] | None = Field(
        default=None, description="weaker reads are not counted: what stands beside the field"
    )


class LlrpPassage(FilePart):
    """A direction: from one place to another, told once as a scan of `sensor`."""

    from_: Annotated[Id, Field(alias="from")]
    to: Id
    sensor: Id


class LlrpSmoothing(FilePart):
    """When flapping reads are a tag that came, stayed, left; see docs/rfid.md before changing it."""

    epoch_s: Annotated[float, Field(ge=0.05, le=10)] = Field(default=0.2, description="about one inventory round")
    delta: Annotated[float, Field(ge=1e-9, le=0.5)] = Field(
        default=1e-5, description="how probable it may be that a silence of a tag that is there is told as its leaving"
    )
    enter_epochs: Annotated[int, Field(ge=1, le=20)] = Field(
        default=2, description="epochs with a read that make an enter at once; fewer are told later, as uncertain"
    )
    passage_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=30.0, description="longest time from one place to the other"
    )


class LlrpDriver(DriverPart):
    """Reads UHF RFID tags with a reader that speaks LLRP 1.0.1 or 1.1, and tells which tag came, left or passed."""

    type: Literal["llrp"]
    host: Host
    port: Port = 5084
    timeout_s: Annotated[float, Field(gt=0)] = 5.0
    keepalive_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=5.0, description="a reader that is silent so long is asked whether it lives"
    )
    session: Annotated[int, Field(ge=0, le=3)] = Field(
        default=0, description="Gen2 session; in 0 a tag answers every round, which smoothing likes best"
    )
    tag_population: Annotated[int, Field(ge=1, le=65_535)] = Field(default=32, description="about how many at once")
    power_dbm: float | None = Field(default=None, description="transmit power; left out: as the reader is set")
    report_every: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="reads in a report")
    codes: Literal["uri", "tag_uri", "hex"] = Field(
        default="uri", description="uri: GS1 codes as urn:epc:id:…; whatever is no GS1 code is told in hex"
    )
    places: list[LlrpPlace] = Field(min_length=1)
    passages: list[LlrpPassage] = Field(default=[])
    smoothing: LlrpSmoothing = LlrpSmoothing()
    keep_raw: bool = Field(
        default=False, description="also send every read, in lane bulk, as a scan of `<id>-raw-<antenna>`"
    )

    @property
    def antennas(self) -> list[int]:
        """All antennas that some place needs, ascending."""
        return sorted({antenna for place in self.places for antenna in place.antennas})

    def raw_sensor(self, antenna: int) -> str:
        """As whose scans the raw reads of an antenna are sent."""
        return f"{self.id}-raw-{antenna}"

    def announced(self) -> Iterator[AnnouncedSensor]:
        """The scanners of its places and passages, and of raw reads."""
        named = [sensor for place in self.places for sensor in (place.sensor, place.left) if sensor]
        named += [passage.sensor for passage in self.passages]
        named += [self.raw_sensor(antenna) for antenna in self.antennas] if self.keep_raw else []
        for sensor in dict.fromkeys(named):
            yield AnnouncedSensor(id=sensor, driver=self.id, unit="1", quantity="scan")

    def problems(self, n: int) -> Iterator[Problem]:
        """Places that share an antenna or a name, that nothing is told of, and passages between unknown ones."""
        yield from super().problems(n)
        holder: dict[int, str] = {}
        for k, place in enumerate(self.places):
            where = ("drivers", n, "places", k)
            at = f"drivers.{n}.places.{k}"
            if place.id in [other.id for other in self.places[:k]]:
                yield Problem((*where, "id"), f"{at}.id: {place.id!r} stands twice; ids are unique")
            for antenna in dict.fromkeys(place.antennas):
                if antenna in holder:
                    yield Problem(
                        (*where, "antennas"),
                        f"{at}.antennas: antenna {antenna} already watches {holder[antenna]!r}; a read tells one place",
                    )
                holder.setdefault(antenna, place.id)
            if not place.sensor and not place.left and not any(place.id in (p.from_, p.to) for p in self.passages):
                yield Problem(where, f"{at}: nothing is told of {place.id!r}; add `sensor`, or a passage from or to it")
        yield from self._passage_problems(n)
        if self.keep_raw and not re.fullmatch(ID_PATTERN, self.raw_sensor(self.antennas[-1])):
            raw = self.raw_sensor(self.antennas[-1])
            yield Problem(("drivers", n, "id"), f"drivers.{n}.id: {raw!r}, of raw reads, is too long an id; shorten it")

    def _passage_problems(self, n: int) -> Iterator[Problem]:
        places = [place.id for place in self.places]
        for k, passage in enumerate(self.passages):
            at = f"drivers.{n}.passages.{k}"
            for key, place in (("from", passage.from_), ("to", passage.to)):
                if place not in places:
                    yield Problem(
                        ("drivers", n, "passages", k, key),
                        f"{at}.{key}: there is no place {place!r}; there are {', '.join(places)}",
                    )
            if passage.from_ == passage.to:
                yield Problem(("drivers", n, "passages", k, "to"), f"{at}.to: a passage leads to another place")

"""The file of `sidestream heat match`: that of `heat targets`, with parties, places, routes and when streams run."""

from __future__ import annotations

from collections.abc import Iterator
from math import asin, cos, hypot, radians, sin, sqrt
from typing import Annotated

import numpy as np
from pydantic import Field

from sidestream_app.heat.streams_file import DtMin, StreamPart, Streams, stream_problems
from sidestream_app.problem_file import Name, ProblemPart
from sidestream_contracts.ids import nearest
from sidestream_contracts.yamlnodes import Problem
from sidestream_twin.core.heat.matching import Ground, Offer
from sidestream_twin.core.heat.mismatch import YEAR_H
from sidestream_twin.core.heat.streams import Side
from sidestream_twin.core.water import ZERO_CELSIUS_K

_EARTH_M = 6_371_000.0
Metres = Annotated[float, Field(ge=-1e8, le=1e8)]


class PlacePart(ProblemPart):
    """Where something is: metres on any common grid, or degrees."""

    id: Name
    x_m: Metres | None = None
    y_m: Metres | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None


class RoutePart(ProblemPart):
    """How long a pipe between two places would be; holds both ways, and before any straight line."""

    from_: Annotated[Name, Field(alias="from")]
    to: Name
    length_m: Annotated[float, Field(ge=0, le=1e6)]


class GroundPart(ProblemPart):
    """How pipes would be laid."""

    temperature_c: Annotated[float, Field(ge=-50, le=60)] = 8.0
    soil_w_mk: Annotated[float, Field(gt=0, le=10)] = 1.6
    depth_m: Annotated[float, Field(ge=0.1, le=20)] = 0.8
    insulation_w_mk: Annotated[float, Field(gt=0, le=1)] = 0.026


class MatchFile(ProblemPart):
    """Streams with parties; a straight line is taken `route_factor` times as long as it is."""

    streams: Streams
    dt_min_k: DtMin
    name: str | None = None
    places: Annotated[list[PlacePart], Field(max_length=10_000, default_factory=list)]
    routes: Annotated[list[RoutePart], Field(max_length=100_000, default_factory=list)]
    route_factor: Annotated[float, Field(ge=1, le=10)] = 1.3
    ground: GroundPart = GroundPart()
    step_h: Annotated[float, Field(gt=0, le=8784)] = 1.0
    most: Annotated[int, Field(ge=1, le=100_000)] = 50

    def laid(self) -> Ground:
        """How a pipe would be laid, in SI."""
        g = self.ground
        zero = ZERO_CELSIUS_K + g.temperature_c
        return Ground(self.dt_min_k, zero, g.soil_w_mk, g.depth_m, g.insulation_w_mk, self.step_h)

    def offers(self) -> list[Offer]:
        """The streams with when they run; one without hours or profile is taken to run all year."""
        return [
            Offer(
                part.heat_stream(),
                part.party or f"owner of {part.id}",
                YEAR_H if part.hours_per_year is None else min(part.hours_per_year, YEAR_H),
                None if part.profile_kw is None else np.array(part.profile_kw) * 1e3,
            )
            for part in self.streams
        ]

    def lengths_m(self) -> dict[tuple[str, str], float | None]:
        """Length of the way between the places of each hot and each cold stream; None where it is not known."""
        places = {place.id: place for place in self.places}
        routes = {frozenset((r.from_, r.to)): r.length_m for r in self.routes}

        def length(one: str | None, other: str | None) -> float | None:
            if one is None or other is None:
                return None
            known = 0.0 if one == other else routes.get(frozenset((one, other)))
            return known if known is not None else self._straight(places.get(one), places.get(other))

        hot, cold = ([s for s in self.streams if s.side is side] for side in (Side.HOT, Side.COLD))
        return {(h.id, c.id): length(h.place, c.place) for h in hot for c in cold}

    def _straight(self, one: PlacePart | None, other: PlacePart | None) -> float | None:
        if one is None or other is None:
            return None
        if None not in {one.x_m, one.y_m, other.x_m, other.y_m}:
            return self.route_factor * hypot((one.x_m or 0) - (other.x_m or 0), (one.y_m or 0) - (other.y_m or 0))
        if None in {one.lat, one.lon, other.lat, other.lon}:
            return None
        lat, lat2 = radians(one.lat or 0), radians(other.lat or 0)
        east = radians((one.lon or 0) - (other.lon or 0))
        haversine = sin((lat - lat2) / 2) ** 2 + cos(lat) * cos(lat2) * sin(east / 2) ** 2
        return self.route_factor * 2 * _EARTH_M * asin(min(1.0, sqrt(haversine)))


def match_problems(file: MatchFile) -> Iterator[Problem]:
    """As of targets, and: places that are not there or have half a position, profiles that don't cover the same time."""
    yield from stream_problems(file.streams)
    for n, place in enumerate(file.places):
        if (place.x_m is None) is not (place.y_m is None) or (place.lat is None) is not (place.lon is None):
            yield Problem(("places", n), f"places.{n}: has half a position; give x_m and y_m, or lat and lon")
    known = {place.id for place in file.places} | {end for r in file.routes for end in (r.from_, r.to)}
    for n, stream in enumerate(file.streams):
        yield from _of_one(n, stream, known)
    sizes = {len(s.profile_kw): s.id for s in file.streams if s.profile_kw is not None}
    if len(sizes) > 1:
        told = ", ".join(f"{size} steps ({name})" for size, name in sorted(sizes.items()))
        yield Problem(("streams",), f"streams: profiles must all cover the same steps, and have {told}")


def _of_one(n: int, stream: StreamPart, known: set[str]) -> Iterator[Problem]:
    if stream.place is not None and stream.place not in known:
        guess = nearest(stream.place, known)
        hint = f"; did you mean {guess!r}?" if guess else ""
        yield Problem(("streams", n), f"streams.{n}.place: {stream.place!r} is in neither places nor routes{hint}")
    if stream.profile_kw is not None and stream.hours_per_year is not None:
        yield Problem(
            ("streams", n), f"streams.{n}: give profile_kw or hours_per_year, not both; the profile says more"
        )

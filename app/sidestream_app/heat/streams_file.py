"""The file of `sidestream heat targets` and `heat match`: streams that give off or need heat, in °C and kW."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_app.problem_file import Name, ProblemPart
from sidestream_contracts.yamlnodes import Problem
from sidestream_twin.core.heat.streams import HeatStream, Side
from sidestream_twin.core.water import ZERO_CELSIUS_K

Celsius = Annotated[float, Field(gt=-ZERO_CELSIUS_K, le=5000)]
Positive = Annotated[float, Field(gt=0, le=1e12)]


class StreamPart(ProblemPart):
    """One stream: temperatures, and the heat capacity flow or the duty; an isothermal one needs `kind` and `duty_kw`."""

    id: Name
    t_in_c: Celsius
    t_out_c: Celsius
    cp_kw_k: Positive | None = None
    duty_kw: Positive | None = None
    kind: Literal["hot", "cold"] | None = None
    party: Name | None = None
    place: Name | None = None
    hours_per_year: Annotated[float, Field(ge=0, le=8784)] | None = None
    profile_kw: (
        Annotated[list[Annotated[float, Field(ge=0, le=1e12)]], Field(min_length=1, max_length=600_000)] | None
    ) = None

    @property
    def side(self) -> Side:
        """Hot where it cools, cold where it warms; as said where it does neither."""
        if self.t_in_c == self.t_out_c:
            return Side(self.kind or "hot")
        return Side.HOT if self.t_in_c > self.t_out_c else Side.COLD

    def heat_stream(self) -> HeatStream:
        """The stream in SI; only of a part that passed `stream_problems`."""
        duty_kw = self.duty_kw or (self.cp_kw_k or 0.0) * abs(self.t_in_c - self.t_out_c)
        return HeatStream(
            self.id, self.side, self.t_in_c + ZERO_CELSIUS_K, self.t_out_c + ZERO_CELSIUS_K, duty_kw * 1e3
        )


Streams = Annotated[list[StreamPart], Field(min_length=1, max_length=20_000)]
DtMin = Annotated[float, Field(ge=0, le=1000)]


class TargetsFile(ProblemPart):
    """Streams and the least temperature difference between those that exchange heat."""

    streams: Streams
    dt_min_k: DtMin
    name: str | None = None


def stream_problems(streams: list[StreamPart]) -> Iterator[Problem]:
    """What contradicts itself in single streams, and ids that stand twice."""
    seen: set[str] = set()
    for n, stream in enumerate(streams):
        if stream.id in seen:
            yield Problem(
                ("streams", n), f"streams.{n}.id: another stream has this id already; every one needs its own"
            )
        seen.add(stream.id)
        for message in _of_one(stream):
            yield Problem(("streams", n), f"streams.{n}: {message}")


def _of_one(stream: StreamPart) -> Iterator[str]:
    if (stream.cp_kw_k is None) is (stream.duty_kw is None):
        yield "give cp_kw_k (heat capacity flow, kW/K) or duty_kw (heat, kW), one of the two"
        return
    if stream.t_in_c != stream.t_out_c:
        if stream.kind is not None and stream.kind != stream.side:
            yield (
                f"kind is {stream.kind} but it goes from {stream.t_in_c:g} to {stream.t_out_c:g} °C; "
                "hot streams cool and cold ones warm, so swap the temperatures or leave kind out"
            )
    elif stream.duty_kw is None:
        yield (
            f"t_in_c and t_out_c are both {stream.t_in_c:g}, so cp_kw_k carries no heat; "
            "give duty_kw and kind if it condenses or boils"
        )
    elif stream.kind is None:
        yield 'it is isothermal; say with kind whether it gives off its duty ("hot") or takes it up ("cold")'

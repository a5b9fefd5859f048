"""The file of `sidestream twin reconcile`: a network of streams with what their meters show, in one unit.

Keys that it does not know are left alone, since such files carry their source along; one that looks like a slip of a
known key is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sidestream_app.problem_file import Name, ProblemPart
from sidestream_contracts.ids import nearest
from sidestream_contracts.yamlnodes import Problem
from sidestream_twin.core.reconcile import LinearSystem, Stream, network
from sidestream_twin.core.uncertain import Uncertain

DEFAULT_LEVEL = 0.05
_SLIP = 0.74
"""Similarity of two keys at which one is a slip of the other: `form` and `from` have 0.75."""
Number = Annotated[float, Field(ge=-1e60, le=1e60)]
Deviation = Annotated[float, Field(ge=0, le=1e60)]


class _Part(ProblemPart):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True, serialize_by_alias=True)


class StreamPart(_Part):
    """One stream; `measured` missing or null: no meter; `from` or `to` missing or null: the outside; `sd` 0: exact."""

    id: Name
    source: Name | None = Field(default=None, alias="from")
    target: Name | None = Field(default=None, alias="to")
    measured: Number | None = None
    sd: Deviation | None = None
    sd_systematic: Deviation = 0.0
    bounds: Annotated[list[Number | None], Field(min_length=2, max_length=2)] | None = None

    def stream(self, *, nonnegative: bool) -> Stream:
        """The stream for the core; ModelError if it can't be one."""
        low, high = self.bounds or [0.0 if nonnegative else None, None]
        return Stream(
            self.id,
            self.source,
            self.target,
            None if self.measured is None else Uncertain(self.measured, self.sd or 0.0, self.sd_systematic),
            lower=-float("inf") if low is None else low,
            upper=float("inf") if high is None else high,
        )


class NodePart(_Part):
    """A node that has more to say than its id."""

    id: Name


class NetworkFile(_Part):
    """Streams; `nodes`, if there, are the only ones that streams may name; `level` is the overall false-alarm level."""

    streams: Annotated[list[StreamPart], Field(min_length=1, max_length=20_000)]
    nodes: list[Name | NodePart] | None = None
    level: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_LEVEL
    unit: str | None = None
    name: str | None = None
    nonnegative: bool = False

    @property
    def node_ids(self) -> list[str] | None:
        """The listed nodes."""
        return None if self.nodes is None else [n if isinstance(n, str) else n.id for n in self.nodes]

    def system(self) -> LinearSystem:
        """The balances; ModelError if there are none to be made."""
        streams = [part.stream(nonnegative=self.nonnegative) for part in self.streams]
        return network(streams, nodes=self.node_ids or None)


def network_problems(found: NetworkFile) -> Iterator[Problem]:
    """What contradicts itself, and what looks like a slip."""
    yield from _slips(found, ())
    ids = found.node_ids or []
    for node in sorted({node for node in ids if ids.count(node) > 1}):
        yield Problem(("nodes",), f"nodes: {node!r} is listed more than once; list every node once")
    seen: set[str] = set()
    for n, stream in enumerate(found.streams):
        where = ("streams", n)
        if stream.id in seen:
            yield Problem(where, f"streams.{n}.id: another stream has this id already; every one needs its own")
        seen.add(stream.id)
        yield from _slips(stream, where)
        for message in _of_one(stream, ids):
            yield Problem(where, f"streams.{n}: {message}")


def _of_one(stream: StreamPart, nodes: list[str]) -> Iterable[str]:
    if stream.measured is not None and stream.sd is None:
        yield "it has measured but no sd; give the meter's standard deviation, or sd 0 if the value is exact"
    if stream.measured is None and stream.sd:
        yield "it has sd but no measured; give what the meter shows, or leave sd out if there is no meter"
    if stream.source is None and stream.target is None:
        yield "it goes from outside to outside, so no balance feels it; give from or to a node"
    elif stream.source == stream.target:
        yield f"it goes from node {stream.source!r} to itself, so no balance feels it; leave it out or mend from or to"
    low, high = stream.bounds or (None, None)
    if low is not None and high is not None and low > high:
        yield f"bounds are {low:g} and {high:g}; give the smaller one first"
    for key, node in (("from", stream.source), ("to", stream.target)):
        if nodes and node is not None and node not in nodes:
            guess = nearest(node, nodes)
            hint = f"is {guess!r} meant?" if guess else "add it there, or mend the id"
            yield f"{key} is {node!r}, which is not in the list of nodes; {hint}"


def _slips(part: BaseModel, where: tuple[str | int, ...]) -> Iterator[Problem]:
    """Unknown keys that are nearly a known one which is missing; others are somebody's remarks."""
    missing = {
        field.alias or name for name, field in type(part).model_fields.items() if name not in part.model_fields_set
    }
    for key in part.model_extra or {}:
        guess = nearest(key, missing, _SLIP)
        if guess:
            place = ".".join(map(str, (*where, key)))
            yield Problem((*where, key), f"{place}: no such key; is {guess!r} meant? Rename it, or remove it")

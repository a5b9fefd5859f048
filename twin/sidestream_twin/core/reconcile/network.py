"""A plant as a graph: what flows into a node flows out of it, unless it is a stream to the outside.

Outside (``None``) is where balances end. A stock's balance is made dynamic by its accumulation, a signed stream from
the node to the outside whose "meter" is the difference of two stock estimates. Loops, parallel streams, streams that
may turn round and plants in several parts are all allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.system import Constraint, LinearSystem, Variable, linear_system
from sidestream_twin.core.uncertain import Uncertain


@dataclass(frozen=True, slots=True)
class Stream:
    """What flows from ``source`` to ``target``, positive that way; None is the outside.

    ``measured`` None: no meter; sd 0: exact or agreed. Without ``lower=0`` the stream may turn round.
    """

    id: str
    source: str | None
    target: str | None
    measured: Uncertain | None = None
    lower: float = -inf
    upper: float = inf

    def __post_init__(self) -> None:
        if self.source is not None and self.source == self.target:
            raise ModelError(
                f"stream {self.id!r} goes from node {self.source!r} to itself, so no balance feels it; "
                "leave it out, or put a node between"
            )
        if self.source is None and self.target is None:
            raise ModelError(f"stream {self.id!r} goes from outside to outside; give it a node at one end at least")


@dataclass(frozen=True, slots=True)
class Yield:
    """``product`` = ratio·``feed``, as far as the ratio is known; a variable ``id`` takes up its uncertainty.

    ``feed_about`` is the size of the feed, in its unit, at which the ratio's deviation is turned into one of the product.
    """

    id: str
    feed: str
    product: str
    ratio: Uncertain
    feed_about: float


def network(
    streams: Iterable[Stream], yields: Iterable[Yield] = (), nodes: Iterable[str] | None = None
) -> LinearSystem:
    """Return the balances of all nodes: Σ in − Σ out = 0, and the yields.

    ``nodes`` None: those that streams name; otherwise streams may name only these, and one without streams is ignored.
    Raises ModelError for what is no network, with the name of the wrong stream.
    """
    streams, yields = tuple(streams), tuple(yields)
    listed = None if nodes is None else frozenset(nodes)
    terms: dict[str, list[tuple[str, float]]] = {}
    for stream in streams:
        for node, sign in ((stream.target, 1.0), (stream.source, -1.0)):
            if node is None:
                continue
            if listed is not None and node not in listed:
                raise ModelError(
                    f"stream {stream.id!r} ends at node {node!r}, which is not listed; add it to the nodes"
                )
            terms.setdefault(node, []).append((stream.id, sign))
    variables = [Variable(each.id, each.measured, each.lower, each.upper) for each in streams]
    slack = [Variable(each.id, Uncertain(0.0, 0.0, 0.0) if not each.ratio.sd else _slack(each)) for each in yields]
    ratios = [
        Constraint(f"yield {each.id}", ((each.product, 1.0), (each.feed, -each.ratio.value), (each.id, -1.0)))
        for each in yields
    ]
    balances = [Constraint(node, tuple(found)) for node, found in terms.items()]
    return linear_system([*variables, *slack], [*balances, *ratios])


def _slack(each: Yield) -> Uncertain:
    about = abs(each.feed_about)
    return Uncertain(0.0, each.ratio.sd_random * about, each.ratio.sd_systematic * about)

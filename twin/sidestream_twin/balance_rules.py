"""What must add up in a hub: its balances, made of parts (flows, losses, changes of stock) and relations between them. Pure.

Mass is balanced for each family of materials, energy for the whole hub. A stream is one part, or two where its ends are
told apart: by a meter at either end, or by a pipe that loses heat between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from sidestream_contracts.balances import Domain, conserved, domains
from sidestream_store.twin.hub import HubLoss, HubNode, HubSensor, HubStream, TwinHub
from sidestream_store.twin.values import Subject
from sidestream_twin.figures import Figure

QUANTITIES: Mapping[Domain, tuple[str, ...]] = {
    "energy": ("heat_flow", "power", "register_heat_flow", "register_power"),
    "mass": ("mass_flow", "register_mass_flow"),
}
"""What tells a stream's flow in each domain, the best first."""


@dataclass(frozen=True, slots=True)
class YieldTerm:
    """So many times this part, give or take `sd` times it."""

    part: str
    ratio: float
    sd: float


@dataclass(frozen=True, slots=True)
class Part:
    """One unknown of a balance, positive along the stream, out of the node, or into the stock.

    At most one of the following says what is known of it beforehand or by a meter: `figure`; `lots` (node and material,
    counted by scans); `observers` of a stock's mass; `loss` and, where it is a share, the parts it is a share `of`;
    `hold_up_kg`; `slack`, the uncertainty of yields.
    """

    subject: Subject
    stream: HubStream | None = None
    figure: Figure | None = None
    lots: tuple[str, str] | None = None
    observers: tuple[HubSensor, ...] = ()
    loss: HubLoss | None = None
    hold_up_kg: float | None = None
    slack: tuple[YieldTerm, ...] = ()

    @property
    def id(self) -> str:
        """Its name among the parts of the balance."""
        return f"{self.subject.kind}/{self.subject.id}/{self.subject.quantity}"

    @property
    def is_metered(self) -> bool:
        """Something tells it, whether or not it does so now."""
        return bool(self.figure or self.lots or self.observers)

    @property
    def is_told(self) -> bool:
        """It is a quantity of its own, not only the uncertainty of a rule."""
        return self.hold_up_kg is None and not self.slack

    @property
    def sensors(self) -> list[str]:
        """Ids of the sensors that tell it."""
        return [sensor.id for sensor in (self.figure.sensors if self.figure else self.observers)]

    @property
    def reconciled(self) -> Subject:
        """The figure that the balance gives of it."""
        return Subject(self.subject.kind, self.subject.id, f"{self.subject.quantity}_reconciled")


@dataclass(frozen=True, slots=True)
class Relation:
    """Σ coefficient · part = 0. `closes`: what goes in and out of a place, and not how a yield or loss is told.

    `needs`: of each of these groups one part at least must take part, or there is nothing to compare.
    """

    subject: Subject
    terms: tuple[tuple[str, float], ...]
    needs: tuple[frozenset[str], ...] = ()
    closes: bool = True

    @property
    def id(self) -> str:
        """Its name among the relations of the balance."""
        return f"{self.subject.kind}/{self.subject.id}/{self.subject.quantity}"


@dataclass(frozen=True, slots=True)
class Balance:
    """All that is balanced together: `energy`, or `mass:` and a family."""

    name: str
    parts: tuple[Part, ...]
    relations: tuple[Relation, ...]

    @property
    def domain(self) -> Domain:
        """Mass or energy."""
        return "energy" if self.name == "energy" else "mass"

    @property
    def subjects(self) -> list[Subject]:
        """Every figure that the balance may give."""
        told = [part.reconciled for part in self.parts if part.is_told]
        return [*told, *(r.subject for r in self.relations if r.closes)]


def balances_of(
    hub: TwinHub, figures: Sequence[Figure], observers: Mapping[str, tuple[HubSensor, ...]]
) -> tuple[Balance, ...]:
    """Every balance of the hub in which something is measured; `observers` are the sensors that tell a node's mass."""
    graph = _Graph(hub, figures, observers)
    found = [_Builder("energy", "energy", [s for s in hub.streams if "energy" in graph.domains(s)], graph).balance()]
    families: dict[str, list[HubStream]] = defaultdict(list)
    for stream in hub.streams:
        if "mass" in graph.domains(stream):
            families[stream.family].append(stream)
    found += [_Builder(f"mass:{name}", "mass", streams, graph).balance() for name, streams in sorted(families.items())]
    return tuple(balance for balance in found if balance.parts)


def digest(balances: Iterable[Balance], balance_s: int) -> str:
    """The same text for the same rules."""
    return sha256(repr((balance_s, tuple(balances))).encode()).hexdigest()


class _Graph:
    def __init__(self, hub: TwinHub, figures: Sequence[Figure], observers: Mapping[str, tuple[HubSensor, ...]]) -> None:
        self.nodes = hub.nodes
        self.observers = observers
        self.roles: dict[str, set[str]] = defaultdict(set)
        for sensor in hub.sensors:
            self.roles[sensor.stream or ""].add(sensor.role)
        self.figures: dict[str, list[Figure]] = defaultdict(list)
        self.losses: dict[tuple[str, str], Figure] = {}
        for figure in figures:
            if figure.kind == "pipe_loss":
                self.losses[figure.subject.kind, figure.subject.id] = figure
            else:
                self.figures[figure.stream.id].append(figure)
        self._scanned = {sensor.node for sensor in hub.sensors if sensor.role == "scan"}
        self._lots = {kind.material for kind in hub.lot_types}
        self._arrivals: dict[tuple[str, str], int] = defaultdict(int)
        for stream in hub.streams:
            self._arrivals[stream.target, stream.material] += 1

    def domains(self, stream: HubStream) -> frozenset[Domain]:
        return domains(stream.phase, self.roles[stream.id])

    def lots(self, stream: HubStream) -> tuple[str, str] | None:
        """Where lots of the stream are first read, if no other stream brings the same there."""
        place = stream.target, stream.material
        counted = stream.target in self._scanned and stream.material in self._lots and self._arrivals[place] == 1
        return place if counted else None


@dataclass(slots=True)
class _Builder:
    """Puts one balance together. `ends`: the part of a stream at its source and at its target."""

    name: str
    domain: Domain
    streams: Sequence[HubStream]
    graph: _Graph
    parts: dict[str, Part] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The family of materials that is balanced, "" where it is energy."""
        return self.name.removeprefix(self.domain).removeprefix(":")

    @property
    def imbalance(self) -> str:
        """The quantity that says what a place misses; of a family, since several may meet at a node."""
        return f"{self.domain}_imbalance{self.name.removeprefix(self.domain)}"

    def balance(self) -> Balance:
        for stream in self.streams:
            self._stream(stream)
        into: dict[str, list[HubStream]] = defaultdict(list)
        out_of: dict[str, list[HubStream]] = defaultdict(list)
        for stream in self.streams:
            into[stream.target].append(stream)
            out_of[stream.source].append(stream)
        for node in self.graph.nodes:
            if node.id in into or node.id in out_of:
                self._node(node, into[node.id], out_of[node.id])
        kept = _measured_somewhere(self.parts, self.relations)
        parts = tuple(part for name, part in sorted(self.parts.items()) if name in kept)
        relations = tuple(r for r in self.relations if r.terms[0][0] in kept)
        return Balance(self.name, parts, tuple(sorted(relations, key=lambda r: r.id)))

    def _add(self, part: Part) -> str:
        self.parts[part.id] = part
        return part.id

    def _stream(self, stream: HubStream) -> None:
        at_source, at_target = meters_of(stream, self.domain, self.graph.figures[stream.id])
        lots = self.graph.lots(stream) if self.domain == "mass" and not (at_source or at_target) else None
        loses = self.domain == "energy" and stream.loss is not None
        if not loses and not (at_source and at_target):
            figure = at_source or at_target
            quantity = figure.quantity if figure else _bare(stream, self.domain)
            only = self._add(Part(Subject("stream", stream.id, quantity), stream, figure, lots))
            self.ends[stream.id] = only, only
            return
        near, far = _end_names(at_source, at_target, _bare(stream, self.domain))
        source = self._add(Part(Subject("stream", stream.id, near), stream, at_source))
        target = self._add(Part(Subject("stream", stream.id, far), stream, at_target))
        self.ends[stream.id] = source, target
        terms = [(source, 1.0), (target, -1.0)]
        if loses and stream.loss is not None:
            terms.append((self._loss("stream", stream.id, stream.loss, [source], stream), -1.0))
        where = Subject("stream", stream.id, self.imbalance)
        self.relations.append(Relation(where, tuple(terms), (frozenset({source}), frozenset({target}))))

    def _loss(self, kind: str, name: str, loss: HubLoss, entering: list[str], stream: HubStream | None) -> str:
        figure = self.graph.losses.get((kind, name))
        part = self._add(Part(Subject(kind, name, "heat_loss"), stream, figure, loss=loss))
        if loss.share is not None:
            terms = tuple(YieldTerm(each, loss.share, loss.share * loss.sd_share) for each in entering)
            self._share(Subject(kind, name, "heat_loss_share"), part, terms, stream)
        return part

    def _share(self, subject: Subject, part: str, terms: tuple[YieldTerm, ...], stream: HubStream | None) -> None:
        """The part is the sum of these shares of others, as far as they are known."""
        slack = self._add(Part(subject, stream, slack=terms))
        ratios = tuple((term.part, -term.ratio) for term in terms)
        self.relations.append(Relation(subject, ((part, 1.0), *ratios, (slack, -1.0)), closes=False))

    def _node(self, node: HubNode, inward: Sequence[HubStream], outward: Sequence[HubStream]) -> None:
        entering = {stream.id: self.ends[stream.id][1] for stream in inward}
        leaving = {stream.id: self.ends[stream.id][0] for stream in outward}
        made = self._yields(node, entering, leaving)
        holds = node.kind in ("stock", "store") and (self.domain == "energy" or node.family in ("", self.family))
        closed = self.domain in conserved(node.kind, node.conserves) and (holds or (entering and leaving))
        if not closed or (made and node.conserves is None):
            return
        if node.kind in ("stock", "store") and not holds:
            return
        terms = [*((part, 1.0) for part in entering.values()), *((part, -1.0) for part in leaving.values())]
        terms += [(part, -1.0) for part in self._kept(node, list(entering.values()))]
        needs = () if holds else (frozenset(entering.values()), frozenset(leaving.values()))
        self.relations.append(Relation(Subject("node", node.id, self.imbalance), tuple(terms), needs))

    def _kept(self, node: HubNode, entering: list[str]) -> Iterator[str]:
        """What stays in the node or is lost there."""
        if self.domain == "energy":
            if node.loss is not None:
                yield self._loss("node", node.id, node.loss, entering, None)
            if node.kind in ("stock", "store"):
                yield self._add(Part(Subject("node", node.id, "heat_change")))
            return
        if node.kind in ("stock", "store"):
            observers = self.graph.observers.get(node.id, ())
            yield self._add(Part(Subject("node", node.id, "stock_change"), observers=observers))
        if node.hold_up_kg is not None:
            yield self._add(Part(Subject("node", node.id, "hold_up"), hold_up_kg=node.hold_up_kg))

    def _yields(self, node: HubNode, entering: Mapping[str, str], leaving: Mapping[str, str]) -> bool:
        outputs: dict[str, list[YieldTerm]] = defaultdict(list)
        for made in node.yields:
            if made.input in entering and made.output in leaving:
                outputs[made.output].append(YieldTerm(entering[made.input], made.ratio, made.sd))
        for output, terms in outputs.items():
            self._share(Subject("node", node.id, f"yield:{output}"), leaving[output], tuple(terms), None)
        return bool(outputs)


def meters_of(stream: HubStream, domain: Domain, figures: Sequence[Figure]) -> tuple[Figure | None, Figure | None]:
    """The figure that tells the flow at the source and the one at the target, each None where there is none."""
    found: dict[str, Figure] = {}
    for quantity in QUANTITIES[domain]:
        for figure in figures:
            if figure.quantity.removesuffix("_receiver") == quantity:
                found.setdefault(_end(stream, figure), figure)
    if stream.meter_end is not None and len(found) == 1:
        found = {stream.meter_end: next(iter(found.values()))}
    return found.get("source"), found.get("target")


def _end(stream: HubStream, figure: Figure) -> str:
    if figure.quantity.endswith("_receiver"):
        return "target"
    theirs = stream.target_party != stream.source_party and figure.sensors[0].party == stream.target_party
    return "target" if theirs else "source"


def _bare(stream: HubStream, domain: Domain) -> str:
    """What the flow of a stream without a meter is called."""
    return "mass_flow" if domain == "mass" else "power" if stream.phase == "electricity" else "heat_flow"


def _end_names(at_source: Figure | None, at_target: Figure | None, bare: str) -> tuple[str, str]:
    """A part bears its meter's name; the end that has none bears the other's, and says which end it is."""
    if at_source is not None:
        far = at_target.quantity if at_target else f"{at_source.quantity}_receiver"
        return at_source.quantity, far if far != at_source.quantity else f"{far}_receiver"
    if at_target is not None:
        return f"{at_target.quantity}_supplier", at_target.quantity
    return bare, f"{bare}_receiver"


def _measured_somewhere(parts: Mapping[str, Part], relations: Sequence[Relation]) -> set[str]:
    """Parts that hang together with one that is metered."""
    beside: dict[str, set[str]] = {name: set() for name in parts}
    for relation in relations:
        names = [name for name, _ in relation.terms]
        for name in names:
            beside[name].update(names)
    kept: set[str] = set()
    grow: Callable[[str], Iterable[str]] = beside.__getitem__
    edge = {name for name, part in parts.items() if part.is_metered}
    while edge:
        kept |= edge
        edge = {other for name in edge for other in grow(name)} - kept
    return kept

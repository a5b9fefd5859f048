"""What the graph of a well-formed `hub.yaml` obeys, so that its balances can close: one `check_…` function per rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from sidestream_contracts.balances import Domain, conserved, domains
from sidestream_contracts.hub import HubFile, Loss, Node, Stream
from sidestream_contracts.ids import unknown
from sidestream_contracts.yamlnodes import Problem, Where

_DAY_S = 86_400
_MADE_ELSEWHERE = ("junction", "border", "stock", "store")
"""Kinds of node that turn nothing into anything else."""
_SURE = 3.0


def check_graph(hub: HubFile) -> Iterator[Problem]:
    """Every problem of the graph; ids that don't exist are told elsewhere and skipped here."""
    for rule in (
        check_balance_interval,
        check_junctions,
        check_conserves,
        check_yields,
        check_yield_sums,
        check_losses,
        check_heat_needs,
        check_shares,
        check_limits,
    ):
        yield from rule(hub)


def check_balance_interval(hub: HubFile) -> Iterator[Problem]:
    """Balances are closed over whole steps, a whole number of times a day."""
    balance_s, step_s = hub.hub.balance_s, hub.hub.step_s
    if balance_s is not None and (balance_s % step_s or _DAY_S % balance_s):
        yield Problem(
            ("hub", "balance_s"),
            f"hub.balance_s: {balance_s} s must be a multiple of hub.step_s ({step_s} s) and go into a day without rest; "
            "write e.g. 900 or 3600",
        )


def check_junctions(hub: HubFile) -> Iterator[Problem]:
    """What enters a junction must be able to leave it, and the other way round, for each family of materials."""
    graph = _Graph(hub)
    for n, node in enumerate(hub.nodes):
        if node.kind != "junction":
            continue
        inward, outward = graph.into[node.id], graph.out_of[node.id]
        if not inward or not outward:
            what = "leaves" if inward else "enters" if outward else "enters or leaves"
            yield Problem(
                ("nodes", n),
                f"nodes.{n}: nothing {what} junction {node.id!r}, so nothing can balance there; add the stream that does, or "
                "make it a border (the outside) or a process",
            )
            continue
        if "mass" in conserved(node.kind, node.conserves):
            yield from _families(n, node, graph)


def _families(n: int, node: Node, graph: _Graph) -> Iterator[Problem]:
    # Water that no meter is on yet may carry heat in a circuit, which takes no mass along.
    inward = {graph.family(s) for s in graph.into[node.id] if graph.domains(s) == {"mass"}}
    outward = {graph.family(s) for s in graph.out_of[node.id] if graph.domains(s) == {"mass"}}
    for family in sorted(inward ^ outward):
        where = "enters and never leaves" if family in inward else "leaves and never enters"
        yield Problem(
            ("nodes", n),
            f"nodes.{n}: {family!r} {where} junction {node.id!r}, so its mass can't balance there; give materials that are "
            "the same thing one family, or make the node a process with yields",
        )


def check_conserves(hub: HubFile) -> Iterator[Problem]:
    """A border is the outside and conserves nothing; a node that is said to conserve something must pass it on."""
    graph = _Graph(hub)
    for n, node in enumerate(hub.nodes):
        if node.kind == "border" and node.conserves:
            yield Problem(
                ("nodes", n, "conserves"),
                f"nodes.{n}.conserves: {node.id!r} is a border, the outside, where nothing is balanced; leave it out, or "
                "make the node a process or junction",
            )
            continue
        for domain in node.conserves or ():
            inward = any(domain in graph.domains(s) for s in graph.into[node.id])
            outward = any(domain in graph.domains(s) for s in graph.out_of[node.id])
            if not (inward and outward) and node.kind not in ("stock", "store"):
                missing = "enters" if outward else "leaves"
                yield Problem(
                    ("nodes", n, "conserves"),
                    f"nodes.{n}.conserves: no stream with {domain} {missing} {node.id!r}, so its {domain} can never be "
                    "checked; add the stream, or leave the domain out",
                )


def check_yields(hub: HubFile) -> Iterator[Problem]:
    """A yield is of a stream that enters the node for one that leaves it, both of mass or both of energy."""
    graph = _Graph(hub)
    for n, node in enumerate(hub.nodes):
        if node.yields and node.kind in _MADE_ELSEWHERE:
            yield Problem(
                ("nodes", n, "yields"),
                f"nodes.{n}.yields: a {node.kind} makes nothing of what enters it; make {node.id!r} a process or exchanger",
            )
        for k, made in enumerate(node.yields):
            where: Where = ("nodes", n, "yields", k)
            text = f"nodes.{n}.yields.{k}"
            ends = (("input", made.input, graph.into), ("output", made.output, graph.out_of))
            known = [s for s in (graph.streams.get(made.input), graph.streams.get(made.output)) if s]
            for field, name, there in ends:
                if name not in graph.streams:
                    yield Problem((*where, field), f"{text}.{field}: {unknown('stream', name, graph.streams)}")
                elif name not in {s.id for s in there[node.id]}:
                    verb = "enter" if field == "input" else "leave"
                    fitting = ", ".join(sorted(s.id for s in there[node.id])) or "none"
                    yield Problem(
                        (*where, field),
                        f"{text}.{field}: {name!r} does not {verb} {node.id!r}; streams that {verb} it: {fitting}",
                    )
            if len(known) == 2 and graph.domains(known[0]).isdisjoint(graph.domains(known[1])):
                yield Problem(
                    where,
                    f"{text}: {made.input!r} carries {_words(graph.domains(known[0]))} and {made.output!r} "
                    f"{_words(graph.domains(known[1]))}; a yield is kg per kg, or J per J",
                )


def check_yield_sums(hub: HubFile) -> Iterator[Problem]:
    """No process makes surely more of an input than there was of it."""
    for n, node in enumerate(hub.nodes):
        ratios: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for made in node.yields:
            ratios[made.input].append((made.ratio, made.sd))
        for name, parts in ratios.items():
            total, spread = sum(ratio for ratio, _ in parts), sum(sd**2 for _, sd in parts) ** 0.5
            if total - _SURE * spread > 1:
                yield Problem(
                    ("nodes", n, "yields"),
                    f"nodes.{n}.yields: {node.id!r} would make {total:g} times as much as enters by {name!r}; ratios of one "
                    "input add up to 1 at most, within their sd. Is a ratio in % or in another unit?",
                )


def check_losses(hub: HubFile) -> Iterator[Problem]:
    """A loss is told in exactly one of its forms, and a pair of pipes has a meter that tells its temperatures."""
    graph = _Graph(hub)
    for n, node in enumerate(hub.nodes):
        touching = [*graph.into[node.id], *graph.out_of[node.id]]
        if node.loss is not None:
            yield from _loss(("nodes", n, "loss"), node.id, node.loss, any(map(graph.has_temperatures, touching)))
        if node.loss is not None and "energy" not in conserved(node.kind, node.conserves):
            yield Problem(
                ("nodes", n, "loss"),
                f"nodes.{n}.loss: energy is not balanced at {node.id!r}, a {node.kind}, so the loss would mean nothing; "
                "write conserves: [energy] as well, or leave it out",
            )
    for n, stream in enumerate(hub.streams):
        if stream.loss is not None:
            yield from _loss(("streams", n, "loss"), stream.id, stream.loss, graph.has_temperatures(stream))


def _loss(where: Where, name: str, loss: Loss, has_temperatures: bool) -> Iterator[Problem]:
    text = ".".join(map(str, where))
    given = [form for form in ("kw", "share_pct", "length_m") if getattr(loss, form) is not None]
    if len(given) != 1 or (loss.length_m is None) != (loss.w_m_k is None):
        yield Problem(
            where, f"{text}: give either kw, or share_pct, or length_m with w_m_k; it has {', '.join(given) or 'none'}"
        )
    elif loss.length_m is not None and not has_temperatures:
        yield Problem(
            where,
            f"{text}: no stream of {name!r} has both a supply and a return temperature sensor, so what the pipes lose "
            "can't be told from their length; write kw: with a figure of your own instead",
        )


def check_heat_needs(hub: HubFile) -> Iterator[Problem]:
    """Only where heat enters can it be needed or thrown away."""
    graph = _Graph(hub)
    for n, node in enumerate(hub.nodes):
        said = "heat_need" if node.heat_need is not None else "dumps_heat" if node.dumps_heat else None
        if said and not any("energy" in graph.domains(stream) for stream in graph.into[node.id]):
            yield Problem(
                ("nodes", n, said),
                f"nodes.{n}.{said}: no stream brings heat to {node.id!r}; write it at the node that receives the heat",
            )


def check_shares(hub: HubFile) -> Iterator[Problem]:
    """A sensor with role share says of which component, and no other one does."""
    for n, sensor in enumerate(hub.sensors):
        if (sensor.role == "share") != (sensor.component is not None):
            told = (
                "name the component, e.g. component: moisture" if sensor.component is None else "its role must be share"
            )
            yield Problem(("sensors", n), f"sensors.{n}: {sensor.id!r} tells the share of a component; {told}")


def check_limits(hub: HubFile) -> Iterator[Problem]:
    """Contents add up to 100 % at most, each component once; a limit has a bound, the lower below the upper."""
    for n, material in enumerate(hub.materials):
        for name, entries in (("contents", material.contents), ("limits", material.limits)):
            components = [entry.component for entry in entries]
            for component in sorted({c for c in components if components.count(c) > 1}):
                yield Problem(("materials", n, name), f"materials.{n}.{name}: {component!r} stands there twice")
        total = sum(content.pct for content in material.contents)
        if total > 100:
            yield Problem(
                ("materials", n, "contents"), f"materials.{n}.contents: add up to {total:g} %, which is more than all"
            )
        for k, limit in enumerate(material.limits):
            low, high = limit.min_pct, limit.max_pct
            if (low is None and high is None) or (low is not None and high is not None and low >= high):
                yield Problem(
                    ("materials", n, "limits", k),
                    f"materials.{n}.limits.{k}: give max_pct, min_pct, or both with min_pct below max_pct",
                )


class _Graph:
    """Streams by the nodes they touch, and what each may carry."""

    def __init__(self, hub: HubFile) -> None:
        self.streams: Mapping[str, Stream] = {stream.id: stream for stream in hub.streams}
        self.into: dict[str, list[Stream]] = defaultdict(list)
        self.out_of: dict[str, list[Stream]] = defaultdict(list)
        for stream in hub.streams:
            self.into[stream.target].append(stream)
            self.out_of[stream.source].append(stream)
        self._materials = {material.id: material for material in hub.materials}
        self._roles: dict[str, set[str]] = defaultdict(set)
        for sensor in hub.sensors:
            self._roles[sensor.stream or ""].add(sensor.role)

    def domains(self, stream: Stream) -> frozenset[Domain]:
        """The balances it takes part in."""
        material = self._materials.get(stream.material)
        return domains(material.phase if material else None, self._roles[stream.id])

    def family(self, stream: Stream) -> str:
        """What it counts as in the mass balance."""
        material = self._materials.get(stream.material)
        return (material.family if material else None) or stream.material

    def has_temperatures(self, stream: Stream) -> bool:
        """Whether its sensors tell supply and return temperature."""
        return {"supply_temperature", "return_temperature"} <= self._roles[stream.id]


def _words(found: frozenset[Domain]) -> str:
    return " and ".join(sorted(found)) or "neither mass nor energy"

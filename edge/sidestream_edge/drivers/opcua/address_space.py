"""What the server has: its namespaces, children by browse name, and the unit that it tells of a variable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asyncua import ua
from asyncua.client.ua_session import UaSession

from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.opcua import status
from sidestream_edge.drivers.opcua.nodes import instead_of
from sidestream_edge.drivers.opcua.units import ServerUnit, server_unit

T = TypeVar("T")

AT_ONCE = 100
"""Nodes named in one call; servers limit that, small ones at 100."""

MOST_REFERENCES = 1000
OBJECTS = ua.NodeId(ua.ObjectIds.ObjectsFolder)
_PROPERTY = ua.NodeId(ua.ObjectIds.HasProperty)
_HIERARCHICAL = ua.NodeId(ua.ObjectIds.HierarchicalReferences)


@dataclass(frozen=True, slots=True)
class Child:
    """A node below another one."""

    node_id: ua.NodeId
    name: str
    is_variable: bool
    is_property: bool


def pieces(items: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """The items in pieces that one call may hold."""
    return (items[start : start + size] for start in range(0, len(items), size))


async def namespaces(session: UaSession) -> list[str]:
    """URIs by today's index."""
    (value,) = await session.read_attributes([ua.NodeId(ua.ObjectIds.Server_NamespaceArray)], ua.AttributeIds.Value)
    return [str(uri) for uri in (value.Value.Value if value.Value is not None else None) or []]


async def children(session: UaSession, parent: ua.NodeId) -> list[Child]:
    """Objects and variables below a node, each once, in the server's order; ContractError `no_node` where it can't be browsed."""
    asked = ua.BrowseDescription(
        NodeId=parent, BrowseDirection=ua.BrowseDirection.Forward, ReferenceTypeId=_HIERARCHICAL, IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable, ResultMask=ua.BrowseResultMask.All,
    )  # fmt: skip
    (result,) = await session.browse(
        ua.BrowseParameters(RequestedMaxReferencesPerNode=MOST_REFERENCES, NodesToBrowse=[asked])
    )
    found: dict[str, Child] = {}
    while True:
        if not result.StatusCode.is_good():
            raise ContractError(
                "no_node", f"{parent.to_string()} can't be browsed: {status.words(result.StatusCode.value)}"
            )
        for reference in result.References or []:
            child = Child(
                reference.NodeId, str(reference.BrowseName.Name), reference.NodeClass == ua.NodeClass.Variable,
                reference.ReferenceTypeId == _PROPERTY,
            )  # fmt: skip
            found.setdefault(child.node_id.to_string(), child)
        if not result.ContinuationPoint:
            return list(found.values())
        (result,) = await session.browse_next(
            ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[result.ContinuationPoint])
        )


class Paths:
    """Finds nodes by their browse names below Objects; each level is asked for once."""

    def __init__(self, session: UaSession) -> None:
        self._session = session
        self._known: dict[str, list[Child]] = {}

    async def find(self, names: Sequence[str]) -> ua.NodeId:
        """The node; ContractError `no_path` says how far the path goes and what is there, `two_paths` which nodes it may mean."""
        here = OBJECTS
        for depth, name in enumerate(names):
            there = await self._children(here)
            fitting = [child for child in there if child.name == name]
            if not fitting:
                below = "/".join(("Objects", *names[:depth]))
                raise ContractError(
                    "no_path", f"below {below} there is no {name!r}{instead_of(name, [child.name for child in there])}"
                )
            if len(fitting) > 1:
                ids = " and ".join(child.node_id.to_string() for child in fitting)
                raise ContractError("two_paths", f"{name!r} stands for {ids}; name one by `node`")
            here = fitting[0].node_id
        return here

    async def _children(self, parent: ua.NodeId) -> list[Child]:
        key = parent.to_string()
        if key not in self._known:
            self._known[key] = await children(self._session, parent)
        return self._known[key]


async def units(session: UaSession, nodes: Sequence[ua.NodeId]) -> list[ServerUnit | None]:
    """The unit that each variable tells of itself (EngineeringUnits of an AnalogItem); None where it tells none."""
    found: list[ServerUnit | None] = []
    for some in pieces(nodes):
        found += await _units(session, some)
    return found


async def _units(session: UaSession, nodes: Sequence[ua.NodeId]) -> list[ServerUnit | None]:
    step = ua.RelativePathElement(
        ReferenceTypeId=_PROPERTY, IsInverse=False, IncludeSubtypes=True,
        TargetName=ua.QualifiedName("EngineeringUnits", 0),
    )  # fmt: skip
    paths = [ua.BrowsePath(StartingNode=node, RelativePath=ua.RelativePath(Elements=[step])) for node in nodes]
    results = await session.translate_browsepaths_to_nodeids(paths)
    at = {k: r.Targets[0].TargetId for k, r in enumerate(results) if r.StatusCode.is_good() and r.Targets}
    values = await session.read_attributes(list(at.values()), ua.AttributeIds.Value) if at else []
    told = {k: _unit(value) for k, value in zip(at, values, strict=True)}
    return [told.get(k) for k in range(len(nodes))]


def _unit(value: ua.DataValue) -> ServerUnit | None:
    info = value.Value.Value if value.Value is not None else None
    if not isinstance(info, ua.EUInformation):
        return None
    shown = info.DisplayName.Text if info.DisplayName is not None else None
    return server_unit(info.NamespaceUri, int(info.UnitId), shown)

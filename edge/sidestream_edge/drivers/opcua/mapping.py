"""From the sensors of `edge.yaml` to nodes of the server as it is today, with what is doubtful about each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncua import ua
from asyncua.client.ua_session import UaSession

from sidestream_contracts.edge_opcua import OpcUaSensor, path_names
from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.opcua.address_space import Paths, namespaces, units
from sidestream_edge.drivers.opcua.nodes import Address, portable
from sidestream_edge.drivers.opcua.units import ServerUnit, compare


@dataclass(slots=True)
class Mapped:
    """Nodes by sensor id; sensors that have none, with the reason; doubts about units; advice about fragile node ids."""

    nodes: dict[str, ua.NodeId] = field(default_factory=dict)
    lost: dict[str, ContractError] = field(default_factory=dict)
    units: dict[str, ServerUnit] = field(default_factory=dict)
    wrong_unit: dict[str, str] = field(default_factory=dict)
    advice: dict[str, str] = field(default_factory=dict)


class Mapping:
    """Finds the nodes anew in each session; what was once found by namespace index is from then on found by its URI."""

    def __init__(self, sensors: list[OpcUaSensor]) -> None:
        self._sensors = sensors
        self._fixed: dict[str, Address] = {}

    async def find(self, session: UaSession) -> Mapped:
        """Today's node of every sensor; never fails for a sensor that has none."""
        mapped, paths = Mapped(), Paths(session)
        today = await namespaces(session)
        for sensor in self._sensors:
            try:
                mapped.nodes[sensor.id] = await self._node(sensor, today, paths, mapped)
            except (ContractError, ua.UaError) as error:
                if isinstance(error, ua.UaStatusCodeError):
                    raise
                mapped.lost[sensor.id] = (
                    error if isinstance(error, ContractError) else ContractError("no_node_id", str(error))
                )
        await self._compare(session, mapped)
        return mapped

    async def _node(self, sensor: OpcUaSensor, today: list[str], paths: Paths, mapped: Mapped) -> ua.NodeId:
        if sensor.node is None:
            return await paths.find(path_names(sensor.path or ""))
        address = self._fixed.get(sensor.id) or Address.parse(sensor.node)
        text = address.text(today)
        if address.uri is None and address.index > 0:
            self._fixed[sensor.id] = address.fixed(today)
            mapped.advice[sensor.id] = (
                f"{sensor.id}: node {sensor.node!r} counts on the order of the server's namespaces, which may change when it is"
                f' restarted. Write node: "{portable(text, today)}"'
            )
        return ua.NodeId.from_string(text)

    async def _compare(self, session: UaSession, mapped: Mapped) -> None:
        """Units, where both sides tell one and nothing is scaled in between."""
        told = await units(session, list(mapped.nodes.values()))
        for sensor_id, unit in zip(mapped.nodes, told, strict=True):
            if unit is not None:
                mapped.units[sensor_id] = unit
        for sensor in self._sensors:
            unit = mapped.units.get(sensor.id)
            if (
                unit is None
                or sensor.unit is None
                or sensor.ignore_server_unit
                or (sensor.scale, sensor.offset) != (1.0, 0.0)
            ):
                continue
            match compare(sensor.unit, unit):
                case "other":
                    mapped.wrong_unit[sensor.id] = (
                        f"{sensor.id}: edge.yaml says {sensor.unit}, the server {unit.words}. Its values are marked uncertain until that is settled:"
                        f" correct `unit`, give `scale`, or write `ignore_server_unit: true` if the server is wrong."
                    )
                case "unknown":
                    mapped.advice.setdefault(
                        sensor.id,
                        f"{sensor.id}: the server tells its unit as {unit.words}, which is not known here; edge.yaml says {sensor.unit}. Compare them.",
                    )
                case "same":
                    pass

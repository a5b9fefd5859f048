"""Real OPC UA servers that show the meters' values at the nodes and paths that `edge.yaml` names.

One server per driver of type `opcua`, without security. Every value carries the time at which the meter showed it, its unit where
nothing is scaled, and the last minutes of it can be read as history. Needs the extra `opcua`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncua import Server, ua

from sidestream_contracts.edge_opcua import OpcUaDriver, OpcUaSensor, path_names
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.ports import port_in_use

HISTORY_S = 600
HISTORY_VALUES = 6000
OWN_NAMESPACE = "urn:sidestream:simulator"
_NODE = re.compile(r"(?:ns=(?P<index>\d+);|nsu=(?P<uri>[^;]+);)?(?P<rest>[isgb]=.+)", re.DOTALL)

logging.getLogger("asyncua").setLevel(logging.ERROR)


class _Plant:
    """One server and the variable of each of its sensors."""

    def __init__(self, driver: OpcUaDriver) -> None:
        self.driver = driver
        self.server: Any = None
        self._variables: dict[str, Any] = {}
        self._folders: dict[tuple[str, ...], Any] = {}

    async def start(self, host: str) -> None:
        """Builds the address space and listens."""
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint(self.driver.endpoint.replace(f"//{self.driver.address[0]}:", f"//{host}:", 1))
        self.server.set_server_name("Sidestream simulator (synthetic figures)")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await self.server.register_namespace(OWN_NAMESPACE)
        for sensor in self.driver.sensors:
            self._variables[sensor.id] = await self._add(sensor, index)
        await self.server.start()
        for variable in self._variables.values():
            await self.server.historize_node_data_change(variable, timedelta(seconds=HISTORY_S), HISTORY_VALUES)

    async def show(self, values: Mapping[str, float], at: datetime) -> None:
        """Every sensor's value, raw as the driver will scale it."""
        for sensor in self.driver.sensors:
            raw = ua.Variant((values[sensor.id] - sensor.offset) / sensor.scale, ua.VariantType.Double)
            await self._variables[sensor.id].write_value(ua.DataValue(raw, SourceTimestamp=at, ServerTimestamp=at))

    async def _add(self, sensor: OpcUaSensor, index: int) -> Any:
        parent, name, node = await self._place(sensor, index)
        variable = await parent.add_variable(
            node, ua.QualifiedName(name, node.NamespaceIndex), 0.0, ua.VariantType.Double
        )
        if sensor.unit is not None and (sensor.scale, sensor.offset) == (1.0, 0.0):
            unit = ua.EUInformation(DisplayName=ua.LocalizedText(sensor.unit), UnitId=-1)
            await variable.add_property(ua.NodeId(), ua.QualifiedName("EngineeringUnits", 0), unit)
        return variable

    async def _place(self, sensor: OpcUaSensor, index: int) -> tuple[Any, str, ua.NodeId]:
        """Below what, under which name and as which node a sensor stands."""
        if sensor.path is not None:
            *folders, name = path_names(sensor.path)
            parent = await self._folder(tuple(folders), index)
            return parent, name, ua.NodeId(sensor.path, index)
        match = _NODE.fullmatch(sensor.node or "")
        if match is None:
            raise ConfigurationError(f"driver {self.driver.id!r}: node {sensor.node!r} is no node id.")
        if match["index"] and int(match["index"]) != index:
            raise ConfigurationError(
                f"driver {self.driver.id!r}: the simulator has no namespace of index {match['index']}; name it by URI: nsu=…;{match['rest']}"
            )
        at = await self.server.register_namespace(match["uri"]) if match["uri"] else index
        return await self._folder(("Meters",), index), sensor.id, ua.NodeId.from_string(f"ns={at};{match['rest']}")

    async def _folder(self, names: tuple[str, ...], index: int) -> Any:
        if not names:
            return self.server.nodes.objects
        if names not in self._folders:
            above = await self._folder(names[:-1], index)
            self._folders[names] = await above.add_object(index, names[-1])
        return self._folders[names]


class OpcUaServers:
    """Every OPC UA server that the drivers of an edge file expect."""

    def __init__(self, drivers: Iterable[OpcUaDriver], edge_path: Path) -> None:
        self._edge_path = edge_path
        self._plants = [_Plant(driver) for driver in drivers]
        for plant in self._plants:
            if plant.driver.security is not None or plant.driver.user is not None:
                raise ConfigurationError(
                    f"{edge_path}: driver {plant.driver.id!r}: the simulator has no security and no users; leave `security` and `user` out."
                )
        self._values: dict[str, float] = {}
        self._new = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def start(self, bind_host: str | None = None) -> None:
        """Listen on every port; ConfigurationError naming port and variable if one is taken."""
        for plant in self._plants:
            host, port = plant.driver.address
            try:
                await plant.start(bind_host or host)
            except OSError as error:
                raise port_in_use(self._edge_path, bind_host or host, port, "OPC UA") from error
        self._writer = asyncio.create_task(self._write())

    def show(self, values: Mapping[str, float]) -> None:
        """Show `values`, by sensor id, as soon as the loop gets to it."""
        self._values = dict(values)
        self._new.set()

    async def stop(self) -> None:
        """Close every connection and every port."""
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        for plant in self._plants:
            if plant.server is not None:
                await plant.server.stop()

    async def _write(self) -> None:
        while True:
            await self._new.wait()
            self._new.clear()
            at = datetime.now(UTC)
            for plant in self._plants:
                await plant.show(self._values, at)

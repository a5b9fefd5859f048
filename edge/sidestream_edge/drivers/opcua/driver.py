"""Subscribes to variables of an OPC UA server; asyncua, which needs 70 MB, is imported only where and when the driver runs."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.frame import Lane
from sidestream_edge.drivers.base import DriverContext


class OpcUa:
    """One server; `lane` live, what comes from its history goes to bulk."""

    type = "opcua"
    lane: Lane = "live"

    def __init__(self, config: OpcUaDriver, folder: Path, application_uri: str) -> None:
        self.id = config.id
        self.patience_s = max(30.0, 3 * config.timeout_s)
        self._config = config
        self._folder = folder
        self._uri = application_uri

    def run(self, context: DriverContext) -> None:
        """Listens until stopped, connecting again for ever."""
        from sidestream_edge.drivers.opcua.listener import Listener

        asyncio.run(Listener(self._config, self._folder, self._uri).run(context))


def build(config: OpcUaDriver, base: Path, edge: EdgeFile) -> OpcUa:
    """The driver for one server; ConfigurationError where the library for it is not installed."""
    if find_spec("asyncua") is None:
        raise ConfigurationError(
            f"driver {config.id!r} is of type opcua, and the library for it is not installed here; run:"
            " pip install 'sidestream[edge,opcua]'"
        )
    return OpcUa(config, base / key_folder(config), application_uri(edge))


def key_folder(config: OpcUaDriver) -> str:
    """Where certificates lie, relative to `edge.yaml`."""
    return config.security.folder if config.security is not None else "opcua"


def application_uri(edge: EdgeFile) -> str:
    """Who this gateway says it is; stands in its certificate too."""
    return f"urn:sidestream:{edge.hub}:{edge.party}:{edge.device}"

"""Drivers: each a folder with its code, README, sample and cases; found by its `type` in `edge.yaml`, imported only then."""

from __future__ import annotations

from pathlib import Path

from sidestream_contracts.edge import Driver as DriverConfig
from sidestream_contracts.edge import EdgeFile, ModbusDriver, ScannerDriver
from sidestream_contracts.edge_brokers import MqttDriver, SparkplugDriver
from sidestream_edge.drivers.base import Driver, DriverContext

__all__ = ["Driver", "DriverContext", "build"]


def build(config: DriverConfig, base: Path, edge: EdgeFile) -> Driver:
    """The driver that `config` of `edge` asks for, paths relative to `base`; touches neither network nor file."""
    if isinstance(config, ModbusDriver):
        from sidestream_edge.drivers.modbus.driver import Modbus

        return Modbus(config)
    if isinstance(config, ScannerDriver):
        from sidestream_edge.drivers.scanner.driver import build_scanner

        return build_scanner(config, base)
    if isinstance(config, MqttDriver):
        from sidestream_edge.drivers.mqtt.driver import Mqtt

        return Mqtt(config, config.broker or edge.broker, config.client_id or _client_id(edge, config.id))
    if isinstance(config, SparkplugDriver):
        from sidestream_edge.drivers.sparkplug.driver import Sparkplug

        return Sparkplug(config, config.broker or edge.broker, config.client_id or _client_id(edge, config.id))
    from sidestream_edge.drivers.recorded.driver import Recorded

    return Recorded(config, base)


def _client_id(edge: EdgeFile, driver: str) -> str:
    return f"{edge.hub}.{edge.party}.{edge.device}.{driver}"

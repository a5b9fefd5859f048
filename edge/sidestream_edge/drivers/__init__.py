"""Drivers: each a folder with its code, README, sample and cases; found by its `type` in `edge.yaml`, imported only then."""

from __future__ import annotations

from pathlib import Path

from sidestream_contracts.edge import Driver as DriverConfig
from sidestream_contracts.edge import EdgeFile, ModbusDriver, ScannerDriver
from sidestream_edge.drivers.base import Driver, DriverContext

__all__ = ["Driver", "DriverContext", "build"]


def build(config: DriverConfig, base: Path, edge: EdgeFile) -> Driver:  # noqa: ARG001  used by drivers of brokers
    """The driver that `config` of `edge` asks for, paths relative to `base`; touches neither network nor file."""
    if isinstance(config, ModbusDriver):
        from sidestream_edge.drivers.modbus.driver import Modbus

        return Modbus(config)
    if isinstance(config, ScannerDriver):
        from sidestream_edge.drivers.scanner.driver import build_scanner

        return build_scanner(config, base)
    from sidestream_edge.drivers.recorded.driver import Recorded

    return Recorded(config, base)

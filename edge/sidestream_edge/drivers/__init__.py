"""Drivers: each a folder with its code, README, sample and cases; found by its `type` in `edge.yaml`, imported only then.

Those of others come in by entry point (docs/write-a-driver.md).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_driver import DriverPart
from sidestream_contracts.edge_plugins import PluginDriver, configured, load_plugin
from sidestream_edge.drivers.base import Driver, DriverContext

__all__ = ["TABLE", "Driver", "DriverContext", "build"]

_HERE = "sidestream_edge.drivers"

TABLE: dict[str, str] = {
    "modbus": f"{_HERE}.modbus.driver:build",
    "scanner": f"{_HERE}.scanner.driver:build",
    "scale": f"{_HERE}.scale.driver:build",
    "pulse": f"{_HERE}.pulse.driver:build",
    "http": f"{_HERE}.http.driver:build",
    "recorded": f"{_HERE}.recorded.driver:build",
    "mqtt": f"{_HERE}.mqtt.driver:build",
    "sparkplug": f"{_HERE}.sparkplug.driver:build",
    "opcua": f"{_HERE}.opcua.driver:build",
    "llrp": f"{_HERE}.llrp.driver:build",
}
"""Where each type's `build(config, base, edge) -> Driver` stands; it touches neither network nor file."""


def build(config: DriverPart, base: Path, edge: EdgeFile) -> Driver:
    """The driver that `config` of `edge` asks for, paths relative to `base`; ConfigurationError if it can't be made."""
    if isinstance(config, PluginDriver):
        plugged: Driver = load_plugin(config.type).build(configured(config), base, edge)
        return plugged
    module, name = TABLE[config.type].split(":")
    built: Driver = getattr(import_module(module), name)(config, base, edge)
    return built

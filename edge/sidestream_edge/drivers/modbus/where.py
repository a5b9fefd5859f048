"""How a Modbus device is called in every sentence about it. Pure."""

from __future__ import annotations

from sidestream_contracts.edge_modbus import ModbusDriver


def where_of(config: ModbusDriver) -> str:
    """Its name in `edge.yaml` and where it is: host and port, or the line with its settings."""
    line = config.serial
    if line is not None:
        place = f"{line.port} {line.baud} 8{line.parity[0].upper()}{line.stop_bits}"
    else:
        place = f"{config.host}:{config.port}" + (", RTU frames" if config.framing == "rtu" else "")
    return f"Modbus device {config.id} ({place}, unit {config.unit_id})"

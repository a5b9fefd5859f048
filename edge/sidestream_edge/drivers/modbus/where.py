"""How a Modbus device is called in every sentence about it, and what to look at when it gives no usable answer. Pure."""

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


def check_of_silence(config: ModbusDriver) -> str:
    """What to check where nothing came."""
    if config.shares_line:
        return "check unit_id, its power, wiring (A and B), baud rate and parity"
    return "check unit_id, its power, and whether another master holds the device"


def check_of_garbage(config: ModbusDriver) -> str:
    """What to check where something came that is no answer."""
    if config.shares_line:
        return "check baud rate and parity, and that no two devices have one address"
    return "check that this port speaks Modbus TCP (framing: rtu for a serial server)"

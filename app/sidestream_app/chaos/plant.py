"""What the chaos run runs on: a hub with two metering edges, one device for bad messages, and burst devices. Synthetic.

`hub.yaml` and each `edge.yaml` are written as a user would write them, so that the product reads its own formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sidestream_contracts.topics import DeviceAddress

HUB = "chaos"
PARTY = "works"
EDGES = ("gw-one", "gw-two")
EXTRA = "gw-extra"
METERS = 32
"""Registers per metering edge; with PERIOD_S they give the load."""
PERIOD_S = 0.1
EXTRA_SENSORS = tuple(f"extra-{n}" for n in range(10))
MOST_BURSTS = 12
POISON = -987_654.25
"""A value that every check lets pass and that the database of a chaos run is made to refuse."""
OUTBOX_CAP_MB = 0.3
"""Room in the outbox of a burst edge: small, so that it is soon full."""
KEEPALIVE_S = 2
"""Of edges and ingest workers alike: a frozen one is given up after 1.5 times as long."""


def meters(edge: str) -> list[str]:
    """Sensor ids of one metering edge."""
    return [f"{edge}-m{n}" for n in range(METERS)]


def scanner(edge: str) -> str:
    """Id of the scanner at one metering edge."""
    return f"{edge}-scan"


def burst(number: int) -> str:
    """Id of the device of one burst."""
    return f"gw-burst-{number}"


def address(device: str) -> DeviceAddress:
    """Who a device of the run is on the wire."""
    return DeviceAddress(HUB, PARTY, device)


def hub_yaml() -> str:
    """The hub: one yard at which everything is measured."""
    devices = [*EDGES, EXTRA, *(burst(n) for n in range(MOST_BURSTS))]
    sensors = [_meter(edge, sensor) for edge in EDGES for sensor in meters(edge)]
    sensors += [_meter(EXTRA, sensor) for sensor in EXTRA_SENSORS]
    sensors += [_meter(burst(n), f"burst-{n}") for n in range(MOST_BURSTS)]
    sensors += [
        f"  - {{id: {scanner(edge)}, device: {edge}, name: Scanner, quantity: scan, role: scan, node: yard}}"
        for edge in EDGES
    ]
    return "\n".join(
        [
            "# Written by `sidestream chaos`. ALL FIGURES ARE SYNTHETIC.",
            "version: 1",
            f"hub: {{id: {HUB}, name: Chaos run (synthetic figures), timezone: Europe/Oslo, synthetic: true, step_s: 10}}",
            f"parties: [{{id: {PARTY}, name: Works (synthetic)}}]",
            f"nodes: [{{id: yard, party: {PARTY}, kind: process, name: Yard}}]",
            "devices:",
            *(f"  - {{id: {device}, party: {PARTY}, name: {device}}}" for device in devices),
            "sensors:",
            *sensors,
            "",
        ]
    )


def _meter(device: str, sensor: str) -> str:
    return f"  - {{id: {sensor}, device: {device}, name: {sensor}, quantity: temperature, unit: Cel, node: yard}}"


@dataclass(frozen=True, slots=True)
class EdgePorts:
    """Where one metering edge finds what it talks to, on 127.0.0.1."""

    broker: int
    modbus: int
    scans: int


def edge_yaml(edge: str, ports: EdgePorts) -> str:
    """A metering edge: one Modbus device polled fast, one scanner."""
    registers = [
        f"      - {{id: {sensor}, register: {2 * n}, type: uint32, scale: 0.001}}"
        for n, sensor in enumerate(meters(edge))
    ]
    return "\n".join(
        [
            *_head(edge, ports.broker),
            "outbox: {path: outbox.sqlite, journal: true}",
            "drivers:",
            f"  - {{id: scanner, type: scanner, source: 'tcp://127.0.0.1:{ports.scans}', sensor: {scanner(edge)}}}",
            f"  - id: meters\n    type: modbus\n    host: 127.0.0.1\n    port: {ports.modbus}\n    period_s: {PERIOD_S}",
            "    sensors:",
            *registers,
            "",
        ]
    )


def burst_edge_yaml(number: int, broker_port: int) -> str:
    """An edge that plays `burst.csv` as fast as its small outbox takes it."""
    return "\n".join(
        [
            *_head(burst(number), broker_port),
            f"outbox: {{path: outbox.sqlite, journal: true, max_mb: {OUTBOX_CAP_MB}}}",
            "drivers:",
            "  - {id: burst, type: recorded, file: burst.csv, time_column: time, time_format: epoch_ms,",
            f"     sensors: [{{id: burst-{number}, column: value}}]}}",
            "",
        ]
    )


def _head(device: str, broker_port: int) -> list[str]:
    return [
        "# Written by `sidestream chaos`.",
        "version: 1",
        f"hub: {HUB}\nparty: {PARTY}\ndevice: {device}",
        f"broker: {{host: 127.0.0.1, port: {broker_port}, keepalive_s: {KEEPALIVE_S}}}",
    ]


def write(path: Path, text: str) -> Path:
    """The file with this text, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

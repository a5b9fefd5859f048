"""Each rule of `edge.yaml`: the mistake, its line, and what is allowed."""

from __future__ import annotations

import pytest

from sidestream_contracts.edge import BUILT_IN, EdgeFile, load_edge, sensor_ids

CASES = {
    "an unknown driver": (
        ("type: modbus", "type: modbos"),
        f"edge.yaml:8: drivers.0.type: 'modbos' is not allowed; allowed: {', '.join(BUILT_IN)}; did you mean 'modbus'?",
    ),
    "no driver type": (
        ("    type: modbus\n", ""),
        f"edge.yaml:7: drivers.0.type: is missing; allowed: {', '.join(sorted(BUILT_IN))}",
    ),
    "another version": (("version: 1", "version: 2"), "edge.yaml:1: version: 2 is not allowed; allowed: 1"),
    "the version in quotes": (
        ("version: 1", "version: '1'"),
        "edge.yaml:1: version: '1' is not allowed; allowed: 1; write it without quotes",
    ),
    "no device": (("device: gw\n", ""), "edge.yaml:1: device: is missing"),
    "no register": (("register: 0, ", ""), "edge.yaml:12: drivers.0.sensors.0.register: is missing"),
    "a misspelt key of a register": (
        ("scale: 0.001", "scael: 0.001"),
        (
            "edge.yaml:12: drivers.0.sensors.0.scael: unknown key, did you mean 'scale'?; allowed here: byte_order, id, offset, "
            "quantity, register, scale, table, type, unit, word_order"
        ),
    ),
    "a key of another driver": (
        ("    unit_id: 1\n", "    delimiter: ';'\n"),
        "edge.yaml:10: drivers.0.delimiter: unknown key; allowed here: framing, host, id, isolation, memory_mb, period_s, port, sensors, serial, timeout_s, type, unit_id",
    ),
    "an unknown register type": (
        ("uint32", "uint31"),
        (
            "edge.yaml:12: drivers.0.sensors.0.type: 'uint31' is not allowed; allowed: int16, uint16, int32, uint32, int64, "
            "uint64, float32, float64; did you mean 'uint32'?"
        ),
    ),
    "a port out of range": (
        ("port: 1883", "port: 70000"),
        "edge.yaml:5: broker.port: 70000 is out of range; it must be at most 65535",
    ),
    "a register out of range": (
        ("register: 0", "register: -1"),
        "edge.yaml:12: drivers.0.sensors.0.register: -1 is out of range; it must be at least 0",
    ),
    "a register that runs past the last one": (
        ("register: 0", "register: 65535"),
        "edge.yaml:12: drivers.0.sensors.0.register: 65535 with 2 words of uint32 runs past 65535",
    ),
    "two sensors in one register": (
        ("scale: 0.001}", "scale: 0.001}\n      - {id: other, register: 1, type: int16}"),
        "edge.yaml:13: drivers.0.sensors.1.register: holding register 1 is already part of 'flow'; int16 takes 1",
    ),
    "a scale of nothing": (
        ("scale: 0.001", "scale: 0, offset: 7"),
        "edge.yaml:12: drivers.0.sensors.0.scale: 0 makes every reading 7; value = raw × scale + offset",
    ),
    "an empty host": (("host: 10.0.0.7", "host: ''"), "edge.yaml:9: drivers.0.host: must not be empty"),
    "no drivers": (
        ("drivers:\n", "drivers: []\nunread:\n"),
        "edge.yaml:6: drivers: must not be empty",
    ),
    "an id in capitals": (
        ("device: gw", "device: GW"),
        "edge.yaml:4: device: 'GW' is no id; lower-case letter first, then up to 30 of a-z 0-9 _ -",
    ),
    "a driver twice": (
        ("id: gun", "id: meter"),
        "edge.yaml:13: drivers.1.id: 'meter' stands twice; ids are unique",
    ),
    "a sensor read twice": (
        ("sensor: gate", "sensor: flow"),
        "edge.yaml:13: drivers.1: sensor 'flow' is already read by driver 'meter'",
    ),
    "a recording of nothing": (
        ("    sensors: [{id: tin, column: t1}]\n", ""),
        "edge.yaml:17: drivers.2: a recorded file needs `sensors` or `scans`",
    ),
    "a delimiter of two characters": (
        ("time_column: time\n", "time_column: time\n    delimiter: ;;\n"),
        "edge.yaml:21: drivers.2.delimiter: takes 1 characters, and has 2",
    ),
    "a period of nothing": (
        ("unit_id: 1", "period_s: 0"),
        "edge.yaml:10: drivers.0.period_s: 0 is out of range; it must be above 0",
    ),
    "a Modbus device that is nowhere": (
        ("    host: 10.0.0.7\n", ""),
        "edge.yaml:7: drivers.0: a Modbus device needs either `host` (TCP) or `serial` (RTU), not neither",
    ),
    "a coil with a type": (
        ("register: 0, type: uint32", "register: 0, table: coil, type: uint32"),
        "edge.yaml:12: drivers.0.sensors.0.type: a coil is one bit and has no type; leave it out",
    ),
    "an address that a serial line does not have": (
        ("    host: 10.0.0.7\n    unit_id: 1\n", "    serial: {port: /dev/ttyUSB0}\n    unit_id: 255\n"),
        "edge.yaml:10: drivers.0.unit_id: 255 is no device's address on a serial line; 1 to 247",
    ),
    "the broker as a text": (
        ("broker: {host: 127.0.0.1, port: 1883}", "broker: 127.0.0.1"),
        "edge.yaml:5: broker: must be a mapping, `key: value` on each line, and is '127.0.0.1'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_that_is_broken_is_told(complaints, case):
    change, expected = CASES[case]
    assert expected in complaints("edge", change)


def test_a_good_file_loads(complaints):
    assert complaints("edge") == []


@pytest.mark.parametrize(
    "neighbour",
    ["register: 2, type: int16", "register: 1, table: input", "register: 65535", "register: 65532, type: int64"],
)
def test_registers_side_by_side_in_another_table_or_at_the_very_end_are_right(complaints, neighbour):
    assert complaints("edge", ("scale: 0.001}", f"scale: 0.001}}\n      - {{id: other, {neighbour}}}")) == []


def test_what_each_driver_reads_and_who_the_agent_is(tmp_path):
    path = tmp_path / "edge.yaml"
    path.write_text(
        "version: 1\nhub: h\nparty: a\ndevice: gw\nbroker: {host: x}\ndrivers:\n"
        "  - {id: f, type: recorded, file: f.csv, time_column: t, sensors: [{id: s, column: c}], scans: {id: r, column: d}}\n"
    )
    edge: EdgeFile = load_edge(path)
    assert sensor_ids(edge.drivers[0]) == ["s", "r"]
    assert edge.address.topic("ack") == "sidestream/v1/h/a/gw/ack"

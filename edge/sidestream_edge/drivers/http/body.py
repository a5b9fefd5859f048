"""The body of a request becomes readings: one JSON object, a list of them, or CSV. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from sidestream_contracts.edge_brokers import MqttSensor
from sidestream_contracts.edge_http import HttpDevice
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import parse_json
from sidestream_edge.drivers import values
from sidestream_edge.drivers.bodies import NOTHING, Arrival, Found, Get, read_values

MOST_READINGS = 5000
"""In one body: it enters the outbox as a whole or not at all."""


def read_body(device: HttpDevice, payload: bytes, received_us: int) -> Found:
    """What the body gives; ContractError when it can't be read at all, or holds more than 5000 readings."""
    found = Found()
    get: Get = _cell if device.payload == "csv" else values.at
    rows = _csv_rows(device, payload) if device.payload == "csv" else iter(_json_rows(device, payload))
    for n, row in enumerate(rows, start=1):
        if n * len(device.sensors) > MOST_READINGS:
            raise ContractError(
                "too_many",
                f"more than {MOST_READINGS} values in one body; send at most {MOST_READINGS // len(device.sensors)} rows",
            )
        read_values(device, row, Arrival(f"{device.path} row {n}", received_us), _name, found, get=get)
    return found


def _name(sensor: MqttSensor) -> str:
    return sensor.id


def _json_rows(device: HttpDevice, payload: bytes) -> list[Any]:
    plain = payload.strip()
    body: Any = parse_json(b'{"rows":' + plain + b"}")["rows"] if plain.startswith(b"[") else parse_json(plain)
    rows = body if device.rows is None else values.at(body, device.rows)
    if isinstance(rows, list):
        return rows
    if device.rows is not None:
        raise ContractError("no_rows", f"at {device.rows!r} there is no list, but {values.shown(rows)}")
    return [rows]


def _csv_rows(device: HttpDevice, payload: bytes) -> Iterator[dict[str, str] | str]:
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError("not_utf8", f"the body is no text: {error.reason} at byte {error.start}") from error
    reader = csv.reader(text.splitlines(), delimiter=device.delimiter)
    try:
        header = device.columns or [name.strip() for name in next(reader, [])]
        _check_header(device, header)
        for row in reader:
            if row:
                yield dict(zip(header, row, strict=True)) if len(row) == len(header) else f"{len(row)} cells"
    except csv.Error as error:
        raise ContractError("not_csv", f"the body is no csv: {error}") from error


def _check_header(device: HttpDevice, header: list[str]) -> None:
    wanted = [*([device.time.path] if device.time else []), *(sensor.path for sensor in device.sensors)]
    for name in wanted:
        if name not in header:
            raise ContractError(
                "no_column",
                f"there is no column {name!r}; there are: {', '.join(header[:20])} (delimiter {device.delimiter!r})",
            )


def _cell(row: Any, column: str) -> Any:
    if isinstance(row, str):
        raise ContractError("bad_row", f"{row} where the header has another number")
    cell = row.get(column, "").strip()
    return cell or NOTHING

"""What a Modbus probe found, in words, as facts for a program, and as a draft of `edge.yaml`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sidestream_contracts.edge_modbus import SerialLine
from sidestream_edge.drivers.modbus.link import Address
from sidestream_edge.drivers.modbus.meanings import Meaning
from sidestream_edge.probe.guess import Guess, Text
from sidestream_edge.probe.modbus import Found, Table

SHOWN = 40
"""Registers of a table that are shown one by one, and drafted as sensors; a program gets them all."""

_OTHERS = 5


def lines(address: Address, found: Found) -> Iterator[str]:
    """For a person: units, identification, tables, and what the registers held."""
    if not found.units:
        yield from _nobody(address, found)
        return
    ids = ", ".join(str(unit.unit) for unit in found.units)
    asked = _ranges(found.asked)
    yield f"{place(address)}: unit {ids} of {asked} answers; {found.requests} requests."
    if found.answers_to_all:
        yield "It answers to every unit id with the same values: one device, which does not look at the id."
    for unit in found.units:
        said = ", ".join(f"{key} {text}" for key, text in unit.says.items())
        yield f"unit {unit.unit}: {said or 'does not say what it is (function 43/14)'}"
        for table in unit.tables:
            yield from (f"  {line}" for line in _table_lines(table))


def facts(address: Address, found: Found) -> dict[str, Any]:
    """For a program: everything, as JSON can hold it."""
    return {
        "address": place(address),
        "asked": list(found.asked),
        "requests": found.requests,
        "answers_to_all": found.answers_to_all,
        "garbled": found.garbled,
        "units": [
            {
                "unit": unit.unit,
                "says": unit.says,
                "cut_short": unit.cut_short,
                "tables": [_table_facts(table) for table in unit.tables],
            }
            for unit in found.units
        ],
    }


def driver_sections(address: Address, found: Found) -> list[str]:
    """A `drivers` item for each unit that has registers, its sensors with what they held as a comment."""
    sections = []
    for unit in found.units:
        prefix = f"u{unit.unit}-" if len(found.units) > 1 else ""
        sensors = [line for table in unit.tables for line in _sensor_lines(table, prefix)]
        if not sensors:
            continue
        said = " ".join(unit.says.values())
        sections.append(
            "\n".join(
                [
                    f"  - id: meter-{unit.unit}" + (f"  # {said}" if said else ""),
                    "    type: modbus",
                    *(f"    {line}" for line in _address_lines(address)),
                    f"    unit_id: {unit.unit}",
                    "    period_s: 1",
                    "    sensors:",
                    *(f"      {line}" for line in sensors),
                ]
            )
        )
    return sections


def place(address: Address) -> str:
    """The address as a person writes it."""
    if isinstance(address, SerialLine):
        return f"{address.port} {address.baud} 8{address.parity[0].upper()}{address.stop_bits}"
    return f"{address}{' (RTU frames)' if address.rtu else ''}"


def _nobody(address: Address, found: Found) -> Iterator[str]:
    yield f"{place(address)}: none of unit {_ranges(found.asked)} answers."
    if found.garbled:
        yield f"Something answers, though: {found.garbled}."
    if isinstance(address, SerialLine):
        yield "Check baud rate, parity and stop bits in the device's menu, A and B not swapped, termination, and its address; --unit all asks 1 to 247."
    elif found.garbled:
        yield "Check that this port speaks Modbus TCP; a serial server may pass RTU frames on: --rtu."
    else:
        yield "Check the unit id in the device's manual (--unit all asks 1 to 247), and whether it lets only one master in."


def _table_lines(table: Table) -> Iterator[str]:
    if not table.spans:
        yield f"{table.table} registers: none ({table.ended or 'every address is refused'})"
        return
    yield f"{table.table} registers: {', '.join(map(str, table.spans))}" + (f"; {table.ended}" if table.ended else "")
    for each in table.contents[:SHOWN]:
        yield f"  {_content(each)}"
    if len(table.contents) > SHOWN:
        yield f"  and {len(table.contents) - SHOWN} more that are not zero; --json tells all, --registers FROM-TO asks for some"
    if not table.contents:
        yield "  all of them are zero now"


def _content(each: Guess | Text) -> str:
    if isinstance(each, Text):
        return f"{each.register:>5}  text {each.text!r}"
    raw = " ".join(f"{word:04x}" for word in each.words)
    others = "; ".join(_short(other) for other in each.others[:_OTHERS])
    return f"{each.register:>5}  {raw:<9}  {_short(each.likely)}" + (f"  or {others}" if others else "")


def _short(one: Meaning) -> str:
    value = "not a number" if one.value is None else f"{one.value:.6g}"
    return f"{value} {one.type}" + (f" {one.order}" if one.order != "ABCD" else "")


def _sensor_lines(table: Table, prefix: str) -> Iterator[str]:
    letter = prefix + table.table[0]
    kept = [each for each in table.contents if isinstance(each, Guess)][:SHOWN]
    for each in kept:
        others = "; ".join(_short(other) for other in each.others[:2])
        held = f"{each.likely.value:.6g}" + (f", or {others}" if others else "")
        where = f", table: {table.table}" if table.table != "holding" else ""
        yield f"- {{id: {letter}{each.register}, register: {each.register}, {each.likely.yaml}{where}}}  # held {held}"
    if table.spans and not kept:
        where = f", table: {table.table}" if table.table != "holding" else ""
        first = table.spans[0].start
        yield f"- {{id: {letter}{first}, register: {first}, type: uint16{where}}}  # all registers held 0"


def _address_lines(address: Address) -> list[str]:
    if isinstance(address, SerialLine):
        return [
            f"serial: {{port: {address.port}, baud: {address.baud}, parity: {address.parity}, stop_bits: {address.stop_bits}}}"
        ]
    return [f"host: {address.host}", f"port: {address.port}", *(["framing: rtu"] if address.rtu else [])]


def _table_facts(table: Table) -> dict[str, Any]:
    return {
        "table": table.table,
        "ended": table.ended,
        "spans": [{"first": span.start, "last": span.end, "words": list(span.words)} for span in table.spans],
        "contents": [_content_facts(each) for each in table.contents],
    }


def _content_facts(each: Guess | Text) -> dict[str, Any]:
    if isinstance(each, Text):
        return {"register": each.register, "text": each.text}
    return {
        "register": each.register,
        "words": list(each.words),
        "likely": _meaning_facts(each.likely),
        "could_mean": [_meaning_facts(other) for other in each.others],
    }


def _meaning_facts(one: Meaning) -> dict[str, Any]:
    return {"value": one.value, "type": one.type, "order": one.order}


def _ranges(numbers: tuple[int, ...]) -> str:
    """`1–10, 255`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in parts)

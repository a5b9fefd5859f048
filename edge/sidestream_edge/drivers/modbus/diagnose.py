"""Goes to a Modbus device once and says how far one comes, and for each sensor what its registers could mean."""

from __future__ import annotations

from collections.abc import Iterator

from sidestream_contracts.edge_modbus import ModbusDriver, ModbusRegister
from sidestream_edge.drivers.diagnosis import Finding, Ranges
from sidestream_edge.drivers.modbus.line import address_of
from sidestream_edge.drivers.modbus.link import GarbledError, Link, SilentError, UnreachableError
from sidestream_edge.drivers.modbus.meanings import Range, explain, four_readings
from sidestream_edge.drivers.modbus.refusal import NOBODY_BEHIND, advice, meaning
from sidestream_edge.drivers.modbus.registers import Block, decode, plan
from sidestream_edge.drivers.modbus.where import check_of_garbage, check_of_silence, where_of


def diagnose(config: ModbusDriver, ranges: Ranges) -> Iterator[Finding]:
    """The way, the device, then every sensor; stops at the step that fails. A running agent must not hold the serial line."""
    where = where_of(config)
    link = Link(address_of(config), config.answer_s)
    try:
        link.open()
        yield Finding("way", ok=True, text=f"{where} can be reached")
        for n, register in enumerate(config.sensors):
            finding = _value(link, config, register, ranges.get(register.id, (None, None)))
            if n == 0 and finding.step == "value":
                yield Finding("device", ok=True, text=f"{where} answers")
            yield finding
            if finding.step == "device":
                return
    except UnreachableError as error:
        yield Finding("way", ok=False, text=f"{where} can't be reached: {error}")
    finally:
        link.close()


def _value(link: Link, config: ModbusDriver, register: ModbusRegister, within: Range) -> Finding:
    where, block = where_of(config), _block(register)
    try:
        answer = link.read(config.unit_id, block.table, block.start, block.count)
    except SilentError as error:
        return Finding("device", ok=False, text=f"{where}: {error}; {check_of_silence(config)}")
    except GarbledError as error:
        return Finding("device", ok=False, text=f"{where}: {error}; {check_of_garbage(config)}")
    named = f"{register.id} ({register.table} {register.register_})"
    if answer.exception is not None:
        text = f"{named}: {meaning(answer.exception)}. {advice(answer.exception)}"
        return Finding(
            "device" if answer.exception in NOBODY_BEHIND else "value", ok=False, text=text, sensor=register.id
        )
    return _read(register, answer.words, named, within)


def _read(register: ModbusRegister, words: tuple[int, ...], named: str, within: Range) -> Finding:
    value, wrong = decode(words, register), "Check type, word_order, byte_order and scale"
    unit = f" {register.unit}" if register.unit else ""
    if register.is_bit:
        return Finding("value", ok=True, text=f"{named}: {value:g}", sensor=register.id, value=value)
    could_mean = tuple(explain(words, register, within))
    declared, *others = four_readings(words, register, within)
    if value is None:
        ok, text = False, f"{named}: not a number. {wrong}"
    elif declared.in_range is False:
        ok, text = False, f"{named}: {value:g}{unit} is out of its range {_shown(within)}{unit}. {wrong}"
    elif not declared.sensible and any(other.sensible for other in others):
        ok, text = False, f"{named}: {value:g}{unit} is hardly a measurement. {wrong}"
    else:
        ok, text = True, f"{named}: {value:g}{unit}"
    return Finding("value", ok=ok, text=text, sensor=register.id, value=value, could_mean=could_mean)


def _shown(within: Range) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in within)
    return f"{low}…{high}"


def _block(register: ModbusRegister) -> Block:
    (block,) = plan([register])
    return block

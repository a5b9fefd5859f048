"""Polls a Modbus TCP device on a fixed grid and says at once when it does not answer, once for each outage and minute.

The time of a reading is the middle between request and reply by the gateway's clock; its uncertainty is half the round trip.
A value is never re-stamped: what could not be read is sent as `null` with quality bad, not as the last good value.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from sidestream_contracts.edge import EdgeFile, ModbusDriver, ModbusRegister
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.modbus.registers import Block, decode, plan, smaller, words_of
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.measurement import Batch, Reading, now_us

LONGEST_RECONNECT_S = 10.0
_ILLEGAL_ADDRESS = 2
_EXCEPTIONS = {1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure",
               5: "acknowledge", 6: "device busy", 10: "gateway path unavailable", 11: "gateway target did not answer"}  # fmt: skip

logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # what goes wrong is said by us, with the device's name


class Modbus:
    """One device; `lane` live."""

    type = "modbus"
    lane: Lane = "live"

    def __init__(self, config: ModbusDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 5 * config.period_s, 3 * config.timeout_s)
        self._config = config
        self._where = f"Modbus device {config.id} ({config.host}:{config.port}, unit {config.unit_id})"
        self._blocks = plan(config.sensors)
        self._reminder = Reminder()
        self._backoff = Backoff(first_s=0.5, longest_s=LONGEST_RECONNECT_S)
        self._not_before_s = 0.0

    def run(self, context: DriverContext) -> None:
        """Polls until stopped."""
        client = ModbusTcpClient(self._config.host, port=self._config.port, timeout=self._config.timeout_s, retries=0)
        try:
            due_s = time.monotonic()
            while context.wait(due_s - time.monotonic()):
                self._poll(client, context)
                due_s += self._config.period_s
                missed = int((time.monotonic() - due_s) / self._config.period_s)
                if missed > 0:
                    due_s += missed * self._config.period_s
                    context.count("polls_due", missed)
        finally:
            client.close()  # type: ignore[no-untyped-call]

    def _poll(self, client: ModbusTcpClient, context: DriverContext) -> None:
        context.count("polls_due")
        readings: list[Reading] = []
        try:
            self._connect(client)
            whole = True
            for block in list(self._blocks):
                context.beat()
                found, error = self._read(client, block)
                readings += found
                if error is not None:
                    whole = False
                    context.problem(error)
        except TransientError as error:
            whole = False
            context.problem(str(error))
            have = {reading.sensor for reading in readings}
            readings += self._missing([r.id for block in self._blocks for r in block.registers if r.id not in have])
        if readings:
            context.offer(Batch(self.id, "live", readings=tuple(readings)))
        if whole:
            self._backoff.reset()
            context.count("polls_done")
            context.good()

    def _connect(self, client: ModbusTcpClient) -> None:
        if client.connected:
            return
        if time.monotonic() < self._not_before_s:
            raise TransientError(f"{self._where} can't be reached. Trying again; check host, port and the cable.")
        if not client.connect():  # type: ignore[no-untyped-call]
            self._not_before_s = time.monotonic() + self._backoff.next_s()
            raise TransientError(f"{self._where} can't be reached. Trying again; check host, port and the cable.")

    def _read(self, client: ModbusTcpClient, block: Block) -> tuple[list[Reading], str | None]:
        """Readings of one block and what was wrong with it; TransientError when the device does not answer at all."""
        asked_s = time.monotonic()
        reply = self._ask(client, block)
        t = now_us() - round((time.monotonic() - asked_s) * 1e6 / 2)
        if reply.isError():
            return self._refused(block, reply.exception_code)
        return [self._reading(block, register, t, reply.registers) for register in block.registers], None

    def _ask(self, client: ModbusTcpClient, block: Block) -> ModbusPDU:
        read = client.read_holding_registers if block.table == "holding" else client.read_input_registers
        try:
            reply = read(block.start, count=block.count, device_id=self._config.unit_id)
        except (ModbusException, OSError, struct.error, ValueError, IndexError) as error:
            client.close()  # type: ignore[no-untyped-call]
            self._not_before_s = time.monotonic() + self._backoff.next_s()
            raise TransientError(
                f"{self._where} gave no usable answer (time-out {self._config.timeout_s} s). Trying again; check unit_id,"
                " and whether another master holds the device."
            ) from error
        if not reply.isError() and len(reply.registers) != block.count:
            client.close()  # type: ignore[no-untyped-call]
            raise TransientError(
                f"{self._where} answered {len(reply.registers)} registers where {block.count} were asked for. Trying again."
            )
        return reply

    def _refused(self, block: Block, code: int) -> tuple[list[Reading], str]:
        if code == _ILLEGAL_ADDRESS and len(block.registers) > 1:
            at = self._blocks.index(block)
            self._blocks[at : at + 1] = smaller(block)
            return [], f"{self._where} has gaps between its registers; reading them apart from now on."
        names = [register.id for register in block.registers]
        text = (
            f"{self._where} refuses {block.table} register {block.start} ({', '.join(names)}): exception {code},"
            f" {_EXCEPTIONS.get(code, 'unknown')}. Check register, table and type."
        )
        return self._missing(names), text

    def _reading(self, block: Block, register: ModbusRegister, t: int, words: Sequence[int]) -> Reading:
        value = decode(words_of(block, register, words), register)
        self._reminder.well([register.id])
        return Reading(register.id, t, value, Quality.GOOD if value is not None else Quality.BAD)

    def _missing(self, sensors: list[str]) -> list[Reading]:
        """`null` for sensors that could not be read: when it begins, and then once a minute."""
        return [Reading(s, now_us(), None, Quality.BAD) for s in self._reminder.due(sensors, time.monotonic())]


def build(config: ModbusDriver, _base: Path, _edge: EdgeFile) -> Modbus:
    """The driver for one device."""
    return Modbus(config)

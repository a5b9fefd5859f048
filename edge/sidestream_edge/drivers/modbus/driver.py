"""Polls a Modbus device on a fixed grid and says at once when it does not answer, once for each outage and minute.

The time of a reading is the middle between request and reply by the gateway's clock; its uncertainty is half the round trip.
A value is never re-stamped: what could not be read is sent as `null` with quality bad, not as the last good value.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_modbus import ModbusDriver, ModbusRegister
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.modbus.line import Line, line_of
from sidestream_edge.drivers.modbus.link import Answer, GarbledError, SilentError, UnreachableError
from sidestream_edge.drivers.modbus.refusal import NOBODY_BEHIND, advice, is_too_much, meaning
from sidestream_edge.drivers.modbus.registers import Block, decode, plan, smaller, words_of
from sidestream_edge.drivers.modbus.where import check_of_garbage, check_of_silence, where_of
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.measurement import Batch, Reading, now_us

LONGEST_PAUSE_S = 10.0


class Modbus:
    """One device; `lane` live."""

    type = "modbus"
    lane: Lane = "live"

    def __init__(self, config: ModbusDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 5 * config.period_s, 3 * config.answer_s)
        self._config = config
        self._where = where_of(config)
        self._blocks = plan(config.sensors)
        self._reminder = Reminder()
        self._backoff = Backoff(first_s=0.5, longest_s=LONGEST_PAUSE_S)
        self._pause_until_s = 0.0
        self._trouble: str | None = None
        self._silent = False

    def run(self, context: DriverContext) -> None:
        """Polls until stopped."""
        with line_of(self._config) as line:
            due_s = time.monotonic()
            while context.wait(due_s - time.monotonic()):
                self._poll(line, context)
                due_s += self._config.period_s
                missed = int((time.monotonic() - due_s) / self._config.period_s)
                if missed > 0:
                    due_s += missed * self._config.period_s
                    context.count("polls_due", missed)

    def _poll(self, line: Line, context: DriverContext) -> None:
        context.count("polls_due")
        readings: list[Reading] = []
        whole = True
        try:
            self._rest(line)
            for block in list(self._blocks):
                found, error = self._read(line, context, block)
                readings += found
                if error is not None:
                    whole = False
                    context.problem(error)
            self._well(line)
        except TransientError as error:
            whole = False
            self._trouble = str(error)
            context.problem(self._trouble)
            have = {reading.sensor for reading in readings}
            readings += self._missing([r.id for block in self._blocks for r in block.registers if r.id not in have])
        if context.stopping and not readings:
            return
        if readings:
            context.offer(Batch(self.id, "live", readings=tuple(readings)))
        if whole and not context.stopping:
            context.count("polls_done")
            context.good()
        elif any(reading.val is not None for reading in readings):
            context.partly_good()

    def _rest(self, line: Line) -> None:
        """Raises what was wrong the last time for as long as the device is not to be asked again."""
        if self._trouble is None:
            return
        now_s = time.monotonic()
        if now_s < self._pause_until_s or (self._silent and not line.admits(now_s)):
            raise TransientError(self._trouble)

    def _well(self, line: Line) -> None:
        if self._silent:
            line.answered()
        self._trouble, self._silent = None, False
        self._backoff.reset()

    def _pause(self) -> None:
        """It did not answer: asked again after a while, and then not before the line has time for it."""
        self._silent = True
        self._pause_until_s = time.monotonic() + self._backoff.next_s()

    def _read(self, line: Line, context: DriverContext, block: Block) -> tuple[list[Reading], str | None]:
        """Readings of one block and what was wrong with it; TransientError when the device does not answer at all."""
        context.beat()
        answer, t = self._ask(line, context, block)
        if answer is None:
            return [], None
        if answer.exception is not None:
            return self._refused(block, answer.exception)
        return [self._reading(block, register, t, answer.words) for register in block.registers], None

    def _ask(self, line: Line, context: DriverContext, block: Block) -> tuple[Answer | None, int]:
        """The answer and its time; None when the driver is to return."""

        def go_on() -> bool:
            context.beat()
            return not context.stopping

        config = self._config
        try:
            with line.turn(go_on) as link:
                if link is None:
                    return None, 0
                asked_s = time.monotonic()
                answer = link.read(
                    config.unit_id, block.table, block.start, block.count, line.timeout_s(config.answer_s)
                )
                t = now_us() - round((time.monotonic() - asked_s) * 1e6 / 2)
        except UnreachableError as error:
            raise TransientError(f"{self._where} can't be reached: {error}. Trying again.") from error
        except (SilentError, GarbledError) as error:
            self._pause()
            raise TransientError(self._unusable(error)) from error
        if answer.exception in NOBODY_BEHIND:
            self._pause()
            code = answer.exception or 0
            raise TransientError(f"{self._where} does not answer its gateway: {meaning(code)}. {advice(code)}")
        return answer, t

    def _unusable(self, error: SilentError | GarbledError) -> str:
        check = (check_of_silence if isinstance(error, SilentError) else check_of_garbage)(self._config)
        return f"{self._where} gave no usable answer: {error}. Trying again; {check}."

    def _refused(self, block: Block, code: int) -> tuple[list[Reading], str]:
        if is_too_much(code) and len(block.registers) > 1:
            at = self._blocks.index(block)
            self._blocks[at : at + 1] = smaller(block)
            return [], f"{self._where} has gaps between its registers; reading them apart from now on."
        names = [register.id for register in block.registers]
        text = f"{self._where} refuses {block.table} register {block.start} ({', '.join(names)}): {meaning(code)}. {advice(code)}"
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

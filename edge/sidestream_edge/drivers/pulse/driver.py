"""Counts pulses, and gives each period a register and a rate; the count is stored with the reading that tells it.

A counter in the kernel or in a file counts on while the agent is off, and nothing is lost. Edges of a GPIO line are counted
only while the agent runs: after a restart the register goes on where it was, says once that it has no value, and its first
value is uncertain.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_pulse import PulseDriver
from sidestream_contracts.errors import ConfigurationError, ContractError, TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.pulse.gpio import GpioLine
from sidestream_edge.drivers.pulse.tally import Kept, Rate, step
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.drivers.sentence import sentence
from sidestream_edge.measurement import Batch, Reading, now_us

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_KERNEL_COUNTERS = "/sys/bus/counter/"
_MOST_DIGITS = 64


def build(config: PulseDriver, _base: Path, _edge: EdgeFile) -> Pulses:
    """The driver for one input; ConfigurationError for a source that is neither a line of a GPIO chip nor a path."""
    scheme, _, path = config.source.partition("://")
    if scheme == "counter" and path.startswith("/"):
        return FileCounter(config, Path(path))
    chip, _, line = path.rpartition("/")
    if scheme == "gpio" and chip.startswith("/") and line.isdigit():
        return GpioCounter(config, chip, int(line))
    raise ConfigurationError(
        f"Pulse input {config.id}: source {config.source!r} is neither gpio:///dev/gpiochip0/17 nor counter:///path."
    )


@dataclass(slots=True)
class _Window:
    """Pulses since the last reading."""

    pulses: int = 0
    last_us: int = 0


class Pulses(ABC):
    """What both sources share; `lane` live, with a cursor: the count."""

    type = "pulse"
    lane: Lane = "live"

    def __init__(self, config: PulseDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 3 * config.period_s)
        self._config = config
        self._where = f"Pulse input {config.id} ({config.source})"
        self._kept = Kept()
        self._rate = Rate(config)
        self._reminder = Reminder()
        self._doubt = False

    @abstractmethod
    def run(self, context: DriverContext) -> None:
        """Counts until stopped."""

    def _tell(self, window: _Window, value: int | None, boot: str | None, context: DriverContext) -> None:
        """A reading of register and rate at this moment, with the count so far."""
        t = now_us()
        self._kept = Kept(self._kept.pulses + window.pulses, value, t, boot)
        readings = [*self._register(t), *self._rated(window, t)]
        self._reminder.well(reading.sensor for reading in readings)
        context.offer(Batch(self.id, "live", readings=tuple(readings), cursor=self._kept.text()))
        context.count("pulses", window.pulses)
        context.good()

    def _register(self, t: int) -> list[Reading]:
        register = self._config.register_
        if register is None:
            return []
        quality, self._doubt = Quality.UNCERTAIN if self._doubt else Quality.GOOD, False
        return [Reading(register.id, t, register.start + self._kept.pulses / self._config.per_unit, quality)]

    def _rated(self, window: _Window, t: int) -> list[Reading]:
        rate, measured = self._rate.see(window.pulses, window.last_us, t)
        if self._config.rate is None or rate is None:
            return []
        return [Reading(self._config.rate.id, t, rate, Quality.GOOD if measured else Quality.UNCERTAIN)]

    def _gap(self, why: str, context: DriverContext) -> None:
        """Something was not counted: said in the status, and by a register without a value."""
        self._doubt = True
        self._rate.forget()
        since = self._kept.at
        when = f" since {datetime.fromtimestamp(since / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}" if since is not None else ""
        context.fault("gaps", f"{self._where}: {why}{when}. Compare its register with the meter's own.")
        if self._config.register_ is not None:
            lost = Reading(self._config.register_.id, now_us(), None, Quality.BAD)
            context.offer(Batch(self.id, "live", readings=(lost,)))

    def _away(self, text: str, context: DriverContext) -> None:
        context.problem(sentence(f"{self._where} {text}"))
        lost = self._reminder.due([sensor.id for sensor in self._config.announced()], time.monotonic())
        if lost:
            null = tuple(Reading(sensor, now_us(), None, Quality.BAD) for sensor in lost)
            context.offer(Batch(self.id, "live", readings=null))


class FileCounter(Pulses):
    """A number in a file: a counter of the kernel, or what another program counts up."""

    def __init__(self, config: PulseDriver, path: Path) -> None:
        super().__init__(config)
        self._path = path
        self._starts_with_machine = str(path).startswith(_KERNEL_COUNTERS)

    def run(self, context: DriverContext) -> None:
        """Reads the number each period; what it grew by while the agent was off is counted."""
        self._kept = Kept.parse(context.cursor)
        boot = _BOOT.read_text(encoding="ascii").strip() if self._starts_with_machine else None
        due_s = time.monotonic()
        while context.wait(due_s - time.monotonic()):
            due_s = max(due_s + self._config.period_s, time.monotonic())
            context.count("polls_due")
            try:
                value = _number(self._path)
            except TransientError as error:
                self._away(str(error), context)
            except ContractError as error:
                context.reject(str(self._path), error.reason, sentence(f"{self._where} {error}"))
                self._away(str(error), context)
            else:
                self._counted(value, boot, context)
                context.count("polls_done")

    def _counted(self, value: int, boot: str | None, context: DriverContext) -> None:
        went = step(self._kept, value, boot=boot, bits=self._config.bits)
        context.count("rollovers", int(went.rolled_over))
        if went.gap is not None:
            self._gap(went.gap, context)
        self._tell(_Window(went.pulses, now_us()), value, boot, context)


class GpioCounter(Pulses):
    """Edges of a line of a GPIO chip."""

    def __init__(self, config: PulseDriver, chip: str, line: int) -> None:
        super().__init__(config)
        self._chip, self._line = chip, line

    def run(self, context: DriverContext) -> None:
        """Counts edges until stopped; opens the line again when it is gone."""
        self._kept = Kept.parse(context.cursor)
        backoff = Backoff(first_s=0.5, longest_s=10.0)
        while not context.stopping:
            try:
                line = GpioLine(self._chip, self._line, self._config)
            except TransientError as error:
                self._away(str(error), context)
            else:
                backoff.reset()
                if self._kept.at is not None:
                    self._gap("pulses were not counted", context)
                self._count(line, context)
            context.wait(backoff.next_s())

    def _count(self, line: GpioLine, context: DriverContext) -> None:
        window, told_s = _Window(), time.monotonic()
        try:
            while not context.stopping:
                context.beat()
                edges = line.read()
                if edges is not None:
                    window.pulses, window.last_us = window.pulses + edges.pulses, edges.last_us
                    context.count("untimed", edges.unseen)
                if time.monotonic() - told_s >= self._config.period_s:
                    told_s = time.monotonic()
                    self._tell(window, None, None, context)
                    window = replace(window, pulses=0)
        except TransientError as error:
            self._tell(window, None, None, context)
            self._away(str(error), context)
        else:
            self._tell(window, None, None, context)
        finally:
            line.close()


def _number(path: Path) -> int:
    try:
        with path.open("rb") as handle:
            text = handle.read(_MOST_DIGITS).strip()
    except FileNotFoundError as error:
        raise TransientError(f"is not there: no {path}; is the counter's driver loaded?") from error
    except OSError as error:
        raise TransientError(f"can't be read: {error.strerror}; may this user read {path}?") from error
    if not text.isdigit():
        raise ContractError("not_a_number", f"holds {text[:20].decode('ascii', 'replace')!r}, which is no count")
    return int(text)

"""Reads a scale over a line that may be unplugged, set wrongly or silent, and says which of these it is.

The time of a reading is the arrival of its line, gateway clock. A scale that sends ten weights a second gives one reading
each period, and one at once when it begins or ends to stand still. The weighing of a vehicle is never dropped: it goes by
the lane of scans, with a cursor, so that a vehicle that still stands there after a restart is not weighed twice.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_lines import ScaleDriver
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.byteline import ByteLine, SerialSource, parse_source
from sidestream_edge.drivers.lines import Fault
from sidestream_edge.drivers.linetrouble import why_unreadable
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.drivers.scale.patterns import Patterns
from sidestream_edge.drivers.scale.shown import WORDS, Shown, readings, wrong_unit
from sidestream_edge.drivers.scale.sics import Sics
from sidestream_edge.drivers.scale.toledo import Toledo
from sidestream_edge.drivers.scale.vehicle import Bridge, Left, Weighed
from sidestream_edge.drivers.sentence import sentence
from sidestream_edge.measurement import Batch, Reading, Scan, now_us

UNREADABLE_BYTES = 96
"""So many bytes without one weight in them are enough to say what is wrong."""

Protocol = Sics | Toledo | Patterns


class Scale:
    """One scale or weighbridge; `lane` live, weighings of vehicles by lane scan."""

    type = "scale"
    lane: Lane = "live"

    def __init__(self, config: ScaleDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 3 * config.timeout_s)
        self._config = config
        self._source = parse_source(config.source, config.serial, config.timeout_s, f"Scale {config.id}")
        self._where = f"Scale {config.id} ({self._source})"
        self._names = [sensor.id for sensor in config.sensors]
        self._reminder = Reminder()
        self._state = ""

    def run(self, context: DriverContext) -> None:
        """Opens the line, takes weights until it is gone, opens it again."""
        backoff = Backoff(first_s=0.25, longest_s=5.0)
        bridge = self._bridge(context.cursor)
        while not context.stopping:
            try:
                line = self._source.open()
            except TransientError as error:
                self._away(sentence(f"{self._where} {error}"), context)
            else:
                self._listen(_Listening(line, _protocol(self._config), backoff, bridge), context)
            context.wait(backoff.next_s())

    def _bridge(self, cursor: str | None) -> Bridge | None:
        if self._config.weighing is None:
            return None
        return Bridge(self._config.weighing, weighed=cursor is not None and json.loads(cursor)["weighed"])

    def _listen(self, now: _Listening, context: DriverContext) -> None:
        try:
            now.line.write(now.protocol.begin)
            while not context.stopping:
                context.beat()
                self._ask(now, context)
                for item in now.take():
                    self._heard(item, now, context)
                self._look(now, context)
        except TransientError as error:
            self._away(sentence(f"{self._where} {error}"), context)
        finally:
            now.line.close()
            half = now.protocol.cut()
            if half is not None and not context.stopping:
                context.reject(str(self._source), half.counter, sentence(f"{self._where}: {half.text}"))

    def _ask(self, now: _Listening, context: DriverContext) -> None:
        if now.protocol.request and time.monotonic() >= now.ask_s:
            now.ask_s = time.monotonic() + self._config.period_s
            now.line.write(now.protocol.request)
            context.count("polls_due")

    def _heard(self, item: Shown | Fault, now: _Listening, context: DriverContext) -> None:
        if now.joined_midway(item):
            return
        if isinstance(item, Fault):
            context.reject(str(self._source), item.counter, sentence(f"{self._where}: {item.text}"))
            return
        now.good()
        if now.protocol.request:
            context.count("polls_done")
        context.good()
        shown, t = self._checked(item, context), now_us()
        self._tell(shown, t, now, context)
        if now.bridge is not None:
            gross = shown.weight("gross")
            seen = now.bridge.see(shown if gross is None else replace(shown, value=gross), t)
            if seen is not None:
                self._vehicle(seen, context)

    def _checked(self, shown: Shown, context: DriverContext) -> Shown:
        """Without a weight in a wrong unit; a change to a state without a good weight is told once."""
        said = wrong_unit(shown, self._config.unit) if self._config.check_unit and shown.is_weight else None
        state, text = shown.state, shown.note or WORDS[shown.state]
        if said is not None:
            text = (
                f"shows {said} where edge.yaml says unit: {self._config.unit}; set the scale or `unit` right"
                " (or check_unit: false, where the scale's own mark is known to be wrong)"
            )
            shown, state = Shown("invalid"), "invalid"
        key = f"{state} {text}"
        if key != self._state:
            self._state = key
            if shown.quality == Quality.BAD or shown.note is not None:
                context.reject(
                    str(self._source), "wrong_unit" if said is not None else state, sentence(f"{self._where} {text}")
                )
        return shown

    def _tell(self, shown: Shown, t: int, now: _Listening, context: DriverContext) -> None:
        due = now.is_due(shown.state, self._config.period_s)
        found = readings(shown, self._config.sensors, t)
        given = [reading for reading in found if reading.val is not None]
        missing = [reading.sensor for reading in found if reading.val is None]
        self._reminder.well(reading.sensor for reading in given)
        told = [*(given if due else ()), *self._missing(missing, t)]
        if told:
            context.offer(Batch(self.id, "live", readings=tuple(told)))

    def _vehicle(self, seen: Weighed | Left, context: DriverContext) -> None:
        config = self._config.weighing
        if config is None:
            return
        if isinstance(seen, Left):
            if seen.unweighed is not None:
                unit = self._config.unit
                context.fault("unweighed", f"{self._where}: {seen.unweighed:g} {unit} left before it had stood still.")
            context.deliver(Batch(self.id, "scan", cursor='{"weighed": false}'))
            return
        codes = [Scan(config.codes, seen.t, seen.code)] if config.codes and seen.code else []
        weighing = Reading(config.id, seen.t, seen.weight)
        context.count("weighings")
        context.deliver(Batch(self.id, "scan", readings=(weighing,), scans=tuple(codes), cursor='{"weighed": true}'))

    def _look(self, now: _Listening, context: DriverContext) -> None:
        """Says what is wrong when there are bytes but no weights, or nothing at all."""
        silent_s = time.monotonic() - now.heard_s
        if silent_s < self._config.silent_s and (now.explained or len(now.unread) < UNREADABLE_BYTES):
            return
        is_serial = isinstance(self._source, SerialSource)
        why = why_unreadable(now.unread, protocol=now.protocol.name, is_serial=is_serial)
        asked = "it does not answer" if now.protocol.request else "it sends nothing"
        silence = f"gives no weight: {asked}; check power, cable, and that its output is set to {now.protocol.name}"
        self._away(sentence(f"{self._where}: {why}" if why else f"{self._where} {silence}"), context)
        if silent_s >= self._config.silent_s:
            now.heard_s = time.monotonic()
            now.line.write(now.protocol.begin)
        now.explained = True

    def _away(self, text: str, context: DriverContext) -> None:
        """No weight is to be had now: said in the status, and as `null` for every sensor, then and once a minute."""
        context.problem(text)
        self._state = ""
        lost = self._missing(self._names, now_us())
        if lost:
            context.offer(Batch(self.id, "live", readings=tuple(lost)))

    def _missing(self, sensors: list[str], t: int) -> list[Reading]:
        return [Reading(s, t, None, Quality.BAD) for s in self._reminder.due(sensors, time.monotonic())]


class _Listening:
    """One connection: its protocol, what came since the last weight, and when what was told."""

    def __init__(self, line: ByteLine, protocol: Protocol, backoff: Backoff, bridge: Bridge | None) -> None:
        self.line = line
        self.protocol = protocol
        self.bridge = bridge
        self.unread = b""
        self.explained = False
        """Whether it was told what is wrong with `unread`."""
        self.heard_s = time.monotonic()
        self.ask_s = 0.0
        self._backoff = backoff
        self._first = True
        self._told_s = float("-inf")
        self._told_state = ""

    def take(self) -> list[Shown | Fault]:
        """What has come, within a heartbeat."""
        data = self.line.read()
        self.unread = (self.unread + data)[-4 * UNREADABLE_BYTES :]
        return list(self.protocol.feed(data))

    def joined_midway(self, item: Shown | Fault) -> bool:
        """Whether this is the rest of a line that had begun before we listened."""
        first, self._first = self._first, False
        return first and isinstance(item, Fault)

    def good(self) -> None:
        """A weight came."""
        self.heard_s = time.monotonic()
        self.unread, self.explained = b"", False
        self._backoff.reset()

    def is_due(self, state: str, period_s: float) -> bool:
        """Whether a reading is to be told now: each period, and when the state changes; it then counts as told."""
        now_s = time.monotonic()
        if state == self._told_state and now_s - self._told_s < period_s:
            return False
        self._told_s, self._told_state = now_s, state
        return True


def build(config: ScaleDriver, _base: Path, _edge: EdgeFile) -> Scale:
    """The driver for one scale; ConfigurationError for a source that is neither a serial port nor tcp://host:port."""
    return Scale(config)


def _protocol(config: ScaleDriver) -> Protocol:
    if config.lines is not None:
        return Patterns(config.lines)
    if config.protocol == "toledo":
        return Toledo(checksum=config.checksum)
    with_tare = any(sensor.reads in {"gross", "tare"} for sensor in config.sensors)
    return Sics(polled=config.polled, with_tare=with_tare)

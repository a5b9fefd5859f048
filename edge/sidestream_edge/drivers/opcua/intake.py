"""What the server said becomes batches: each measurement once, doubt and refusal said, nothing confirmed before it is durable."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence

from asyncua import ua

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.opcua import status
from sidestream_edge.drivers.opcua.subscription import Message
from sidestream_edge.drivers.opcua.unconfirmed import Unconfirmed
from sidestream_edge.drivers.opcua.values import Taken, microseconds, possible, take
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.measurement import Batch, Reading, now_us

MOST_IN_BATCH = 1000


class Intake:
    """Of one run of the driver; `doubtful` are the sensors whose unit is in doubt."""

    def __init__(self, config: OpcUaDriver, context: DriverContext) -> None:
        self._id = config.id
        self._where = f"OPC UA server {config.id}"
        self._sensors = {sensor.id: sensor for sensor in config.sensors}
        self._context = context
        self._reminder = Reminder()
        self._unconfirmed = Unconfirmed(context.cursor)
        self._uncertain: dict[str, str] = {}
        self._filled: dict[str, int] = {}
        self._news_s = dict.fromkeys(self._sensors, time.monotonic())
        self.doubtful: frozenset[str] = frozenset()

    @property
    def heard_us(self) -> int | None:
        """When the server was last heard, by this run or the one before it; None if never."""
        return self._unconfirmed.heard_us

    def durable(self) -> list[int]:
        """Numbers of messages that are on the disk and not yet confirmed to the server."""
        return self._unconfirmed.durable(self._context.stored)

    def forget(self) -> None:
        """The subscription is gone."""
        self._unconfirmed.forget()

    def take(self, message: Message) -> None:
        """Hands one message over; waits where the outbox is full, while the server queues."""
        self._unconfirmed.heard_us = now_us()
        if message.number is not None:
            self._context.count("messages")
            readings = self._readings(message.values)
            new = [reading for reading in readings if reading.t > self._filled.get(reading.sensor, -1)]
            self._context.count("repeated", len(readings) - len(new))
            self.hand_over(new, number=message.number)

    def past(self, sensor_id: str, values: Iterable[ua.DataValue], after_us: int) -> int:
        """Hands over what the server has recorded after `after_us` and after all that was taken; how many readings that were.

        What the history reaches up to is not taken from the live queue again, however long ago that was.
        """
        after = max(after_us, self._filled.get(sensor_id, after_us))
        readings = [r for r in self._readings((sensor_id, value) for value in values) if r.t > after]
        if readings:
            readings.sort(
                key=lambda reading: reading.t
            )  # the newest is so the last that is forgotten of what was taken
            self.hand_over(readings, lane="bulk")
            self._filled[sensor_id] = readings[-1].t
        return len(readings)

    def quiet(self, for_s: float) -> list[str]:
        """Sensors of which nothing was heard for so many seconds."""
        before_s = time.monotonic() - for_s
        return [sensor_id for sensor_id, at_s in self._news_s.items() if at_s <= before_s]

    def confirm(self, values: Sequence[tuple[str, ua.DataValue]]) -> None:
        """Hands over what the server says on being asked: where the source has nothing newer, at the server's own time."""
        found = []
        for sensor_id, value in values:
            newest = self.newest_us(sensor_id)
            source = microseconds(value.SourceTimestamp)
            if source is None or newest is None or source > newest:
                found.append((sensor_id, value))
            elif (told := microseconds(value.ServerTimestamp)) is not None and possible(told, now_us()):
                found.append((sensor_id, dataclasses.replace(value, SourceTimestamp=value.ServerTimestamp)))
        self.hand_over(self._readings(found))

    def newest_us(self, sensor_id: str) -> int | None:
        """The newest time of which a value was ever taken."""
        return self._context.marks.newest(sensor_id)

    def nothing(self, sensor_ids: Sequence[str]) -> None:
        """`null`, quality bad, for sensors that can't be read: when that begins, and then once a minute."""
        missing = [Reading(s, now_us(), None, Quality.BAD) for s in self._reminder.due(sensor_ids, time.monotonic())]
        if missing:
            self._context.deliver(Batch(self._id, "live", readings=tuple(missing)))

    def hand_over(self, readings: Sequence[Reading], *, lane: Lane = "live", number: int | None = None) -> None:
        """Those that were not taken before, with marks and, for a message, the cursor that confirms it."""
        fresh, marks = self._context.marks.fresh(readings)
        if not fresh and number is None:
            return
        self._context.count("repeated", len(readings) - len(fresh))
        starts = range(0, max(len(fresh), 1), MOST_IN_BATCH)
        for start in starts:
            part, kept = fresh[start : start + MOST_IN_BATCH], marks[start : start + MOST_IN_BATCH]
            cursor = self._unconfirmed.cursor(number if start == starts[-1] else None)
            batch = Batch(self._id, lane, readings=tuple(part), cursor=cursor, marks=tuple(kept))
            if not self._context.deliver(batch):
                return
            self._context.marks.keep(kept)

    def _readings(self, values: Iterable[tuple[str, ua.DataValue]]) -> list[Reading]:
        received_us, found = now_us(), []
        for sensor_id, value in values:
            self._news_s[sensor_id] = time.monotonic()
            try:
                taken = take(self._sensors[sensor_id], value, received_us)
            except ContractError as error:
                self._context.reject(sensor_id, error.reason, f"{self._where}, sensor {sensor_id}: {error}.")
                self.nothing([sensor_id])
                continue
            found.append(self._judged(sensor_id, taken))
        return found

    def _judged(self, sensor_id: str, taken: Taken) -> Reading:
        """The reading with all doubt about it counted and told."""
        if status.overflowed(taken.code):
            self._context.fault(
                "overflows",
                f"{self._where}, sensor {sensor_id}: its queue at the server ran over before this value, so changes are missing."
                " Raise `queue`, or `sampling_s`.",
            )
        reading = taken.reading
        if reading.q == Quality.BAD:
            why = taken.doubt if status.quality(taken.code) != Quality.BAD else status.words(taken.code)
            reason = status.name(taken.code) if status.quality(taken.code) == Quality.BAD else "no_value"
            self._context.reject(sensor_id, reason, f"{self._where}, sensor {sensor_id}: {why}.")
            return reading
        self._reminder.well([sensor_id])
        if reading.q == Quality.UNCERTAIN:
            self._doubt(sensor_id, taken.doubt or status.words(taken.code))
        if sensor_id in self.doubtful:
            return reading._replace(q=Quality.UNCERTAIN)
        return reading

    def _doubt(self, sensor_id: str, why: str) -> None:
        self._context.count("uncertain")
        if self._uncertain.get(sensor_id) != why:
            self._uncertain[sensor_id] = why
            self._context.note(f"doubt {sensor_id}", f"{self._where}, sensor {sensor_id}: values are uncertain; {why}.")

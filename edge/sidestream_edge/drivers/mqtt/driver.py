"""Takes what devices of others publish, and confirms each message to its broker only when it is in the outbox.

A value carries the time that its message tells; nothing is re-stamped. Where the message tells none, the value is stamped at
its reception and announced as delivered at least once. A value that was measured at a known time is taken once, however often
the broker repeats it. What can't be used is counted by topic and reason, and says `null`, quality bad, for its sensor.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_brokers import Broker, MqttDriver, MqttSensor, MqttTopic
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.backoff import Backoff
from sidestream_edge.connection import Connected, Connection, Event, Keep, Lost, Received, Refused
from sidestream_edge.drivers.base import BEAT_S, DriverContext
from sidestream_edge.drivers.bodies import Found
from sidestream_edge.drivers.mqtt.mapping import Mapping, Message
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.measurement import Batch, Reading, now_us

AT_ONCE = 500
"""Messages that may wait for the outbox; a broker sends no more before some are confirmed."""

QUIET_S = 0.5
LATE_S = 60.0
"""After a resumed session messages count as late until the line was quiet once, for a minute at most."""

CONFIRM_S = 0.02
MOST_MET = 5000
"""Topics remembered as announced."""


class Mqtt:
    """One broker; `lane` live."""

    type = "mqtt"
    lane: Lane = "live"
    patience_s = 30.0

    def __init__(self, config: MqttDriver, broker: Broker, client_id: str) -> None:
        self.id = config.id
        self._config = config
        self._broker = broker
        self._client_id = client_id
        self._where = f"The broker {broker.host}:{broker.port} of driver {config.id}"
        self._mapping = Mapping(config.topics)
        self._reminder = Reminder()
        self._met: set[str] = set()

    def run(self, context: DriverContext) -> None:
        """Listens until stopped, connecting again for ever."""
        backoff = Backoff(first_s=0.5, longest_s=15.0)
        while not context.stopping:
            try:
                keep = Keep(self._config.session_expiry_s, AT_ONCE)
                connection = Connection(self._broker, self._client_id, keep=keep)
            except TransientError as error:
                context.problem(str(error))
            else:
                self._listen(connection, context, backoff)
            context.wait(backoff.next_s())

    def _listen(self, connection: Connection, context: DriverContext, backoff: Backoff) -> None:
        line = _Line(connection)
        try:
            while not context.stopping and line.lost is None:
                events = connection.turn(CONFIRM_S if line.waiting else BEAT_S)
                context.beat()
                messages = self._sort(events, line, context, backoff)
                if messages:
                    self._take(messages, line, context)
                line.confirm(context.stored)
        finally:
            if line.lost is None:
                connection.close()
            else:
                connection.abandon()
                context.problem(f"{self._where} is gone: {line.lost}. Connecting again.")

    def _sort(self, events: list[Event], line: _Line, context: DriverContext, backoff: Backoff) -> list[Received]:
        messages: list[Received] = []
        for event in events:
            match event:
                case Connected(resumed=resumed):
                    line.began(resumed=resumed)
                    backoff.reset()
                    line.connection.subscribe([topic.topic for topic in self._config.topics])
                    context.good()
                case Received():
                    messages.append(event)
                case Refused(reason):
                    line.refused = True
                    context.problem(
                        f"{self._where} will not let us subscribe ({reason}). Check its access rules for this user."
                    )
                case Lost(reason):
                    line.lost = reason
        if messages:
            line.heard()
        return messages

    def _take(self, messages: list[Received], line: _Line, context: DriverContext) -> None:
        """What the messages say, as one batch; those that say nothing new are confirmed with it all the same."""
        found = Found()
        for message in messages:
            late = line.is_late
            self._mapping.read(
                Message(message.topic, message.payload, now_us(), retained=message.retained, late=late), found
            )
            self._announce(message.topic, context)
        fresh, marks = context.marks.fresh(found.timed)
        readings = (*fresh, *found.stamped, *self._unusable(found, context))
        self._reminder.well(reading.sensor for reading in (*fresh, *found.stamped))
        cursor = line.cursor([message.mid for message in messages if message.mid])
        if not context.deliver(Batch(self.id, "live", readings=readings, cursor=cursor, marks=tuple(marks))):
            return
        context.marks.keep(marks)
        context.count("messages", len(messages))
        context.count("repeated", len(found.timed) - len(fresh))
        context.count("retained_without_time", found.unknown_age)
        if not line.refused:
            context.good()

    def _unusable(self, found: Found, context: DriverContext) -> list[Reading]:
        """`null` for sensors of which something unusable came: when that begins, and then once a minute."""
        for fault in found.faults:
            whose = f" ({fault.sensor})" if fault.sensor else ""
            text = f"Driver {self.id}, topic {fault.where}{whose}: {fault.text}."
            context.reject(fault.where, fault.reason, text)
        sensors = [fault.sensor for fault in found.faults if fault.sensor]
        return [Reading(s, now_us(), None, Quality.BAD) for s in self._reminder.due(sensors, time.monotonic())]

    def _announce(self, topic: str, context: DriverContext) -> None:
        """Sensors that only the topic names are told to the hub when they are first met."""
        if topic in self._met or len(self._met) >= MOST_MET:
            return
        self._met.add(topic)
        for name, sensor, mapped in self._mapping.sensors(topic):
            if name != sensor.id:
                context.announce(announced(self.id, name, sensor, mapped))


def announced(driver: str, name: str, sensor: MqttSensor, topic: MqttTopic) -> AnnouncedSensor:
    """The sensor as the hub is told of it."""
    return AnnouncedSensor(
        id=name, driver=driver, unit=sensor.unit, quantity=sensor.quantity,
        delivery="at_least_once" if topic.time is None else "once",
    )  # fmt: skip


class _Line:
    """One connection: what was taken over it and is not yet confirmed, and how late what comes may be."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.lost: str | None = None
        self.refused = False
        self._token = secrets.token_hex(4)
        self._number = 0
        self._unconfirmed: deque[tuple[int, list[int]]] = deque()
        self._late_until_s = 0.0
        self._heard_s = 0.0

    @property
    def waiting(self) -> bool:
        """Whether something waits to be confirmed."""
        return bool(self._unconfirmed)

    @property
    def is_late(self) -> bool:
        """Whether what comes may have waited at the broker."""
        return time.monotonic() < self._late_until_s

    def began(self, *, resumed: bool) -> None:
        """The broker took us; with `resumed` it first sends what came while we were away."""
        self._heard_s = time.monotonic()
        self._late_until_s = self._heard_s + (LATE_S if resumed else 0.0)

    def heard(self) -> None:
        """Messages came; after a pause nothing waits at the broker any more."""
        now_s = time.monotonic()
        if now_s - self._heard_s > QUIET_S:
            self._late_until_s = 0.0
        self._heard_s = now_s

    def cursor(self, mids: list[int]) -> str:
        """The cursor of the next batch, which holds these messages."""
        self._number += 1
        self._unconfirmed.append((self._number, mids))
        return f"{self._token}:{self._number}"

    def confirm(self, stored: str | None) -> None:
        """Confirms to the broker every message of a batch that is durable."""
        token, _, number = (stored or "").partition(":")
        while self._unconfirmed and token == self._token and self._unconfirmed[0][0] <= int(number):
            for mid in self._unconfirmed.popleft()[1]:
                self.connection.acknowledge(mid)


def build(config: MqttDriver, _base: Path, edge: EdgeFile) -> Mqtt:
    """The driver for one broker: the hub's own where none is named."""
    client_id = config.client_id or f"{edge.hub}.{edge.party}.{edge.device}.{config.id}"
    return Mqtt(config, config.broker or edge.broker, client_id)

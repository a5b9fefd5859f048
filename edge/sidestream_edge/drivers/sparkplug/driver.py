"""Host application for the edge nodes of one Sparkplug B group: their metrics become readings with their own times.

A node or device that dies makes its sensors say `null`, quality bad; so does the loss of our own line to the broker. A value is
taken once, by sensor, time and value, though births and redelivery repeat it. Doubt about aliases is cleared by asking for births.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_brokers import Broker, SparkplugDriver, SparkplugSensor
from sidestream_contracts.errors import ContractError, TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.backoff import Backoff
from sidestream_edge.connection import Connected, Connection, Lost, Received, Refused, Will
from sidestream_edge.drivers.base import BEAT_S, DriverContext
from sidestream_edge.drivers.sparkplug import wire
from sidestream_edge.drivers.sparkplug.draft import draft
from sidestream_edge.drivers.sparkplug.node import KINDS, Key, Kind, Node, Outcome, Update
from sidestream_edge.drivers.sparkplug.readings import reading
from sidestream_edge.drivers.sparkplug.rebirths import Rebirths
from sidestream_edge.measurement import Batch, Reading, now_us

NAMESPACE = "spBv1.0"
_NODE_LEVELS, _DEVICE_LEVELS = 4, 5


class Sparkplug:
    """One broker and group; `lane` live, historical values go to bulk."""

    type = "sparkplug"
    lane: Lane = "live"
    patience_s = 30.0

    def __init__(self, config: SparkplugDriver, broker: Broker, client_id: str) -> None:
        self.id = config.id
        self._config = config
        self._broker = broker
        self._client_id = client_id
        self._where = f"The broker {broker.host}:{broker.port} of driver {config.id}"
        self._nodes = {name: Node() for name in config.all_nodes}
        self._sensors: dict[tuple[str, Key], SparkplugSensor] = {
            (sensor.node, (sensor.device, sensor.metric)): sensor for sensor in config.sensors
        }
        self._alive: set[str] = set()
        self._rebirths = Rebirths()

    def run(self, context: DriverContext) -> None:
        """Listens until stopped, connecting again for ever."""
        backoff = Backoff(first_s=0.5, longest_s=15.0)
        while not context.stopping:
            began_ms = now_us() // 1000
            try:
                connection = Connection(self._broker, self._client_id, self._will(began_ms))
            except TransientError as error:
                context.problem(str(error))
            else:
                self._listen(connection, context, backoff, began_ms)
            context.wait(backoff.next_s())

    def _will(self, began_ms: int) -> Will | None:
        if self._config.host_id is None:
            return None
        return Will(f"{NAMESPACE}/STATE/{self._config.host_id}", _state(online=False, time_ms=began_ms))

    def _listen(self, connection: Connection, context: DriverContext, backoff: Backoff, began_ms: int) -> None:
        lost: str | None = None
        try:
            while not context.stopping and lost is None:
                for event in connection.turn(BEAT_S):
                    match event:
                        case Connected():
                            backoff.reset()
                            self._begin(connection, context, began_ms)
                        case Received(topic, payload):
                            self._received(topic, payload, context)
                        case Refused(reason):
                            context.problem(
                                f"{self._where} will not let us subscribe ({reason}). Check its access rules."
                            )
                        case Lost(reason):
                            lost = reason
                context.beat()
                self._ask_for_births(connection, context)
        finally:
            self._end(connection, context, lost, began_ms)

    def _begin(self, connection: Connection, context: DriverContext, began_ms: int) -> None:
        group = f"{NAMESPACE}/{self._config.group}"
        topics = [f"{group}/{kind}/{node}" for node in self._nodes for kind in ("NBIRTH", "NDATA", "NDEATH")]
        topics += [f"{group}/{kind}/{node}/+" for node in self._nodes for kind in ("DBIRTH", "DDATA", "DDEATH")]
        connection.subscribe(topics)
        will = self._will(began_ms)
        if will is not None:
            connection.publish(will.topic, _state(online=True, time_ms=began_ms), retain=True)
        context.good()

    def _end(self, connection: Connection, context: DriverContext, lost: str | None, began_ms: int) -> None:
        for node in self._nodes.values():
            node.forget()
        will = self._will(began_ms)
        if lost is None:
            if will is not None:
                connection.publish(will.topic, will.payload, retain=True)
                connection.turn(BEAT_S)
            connection.close()
            return
        connection.abandon()
        context.problem(f"{self._where} is gone: {lost}. Connecting again.")
        self._silence(list(self._alive), now_us(), context)

    def _received(self, topic: str, data: bytes, context: DriverContext) -> None:
        levels = topic.split("/")
        known = len(levels) in (_NODE_LEVELS, _DEVICE_LEVELS) and levels[2] in KINDS and levels[3] in self._nodes
        if not known:
            return
        kind: Kind = levels[2]  # type: ignore[assignment]
        device = levels[4] if len(levels) == _DEVICE_LEVELS else None
        try:
            payload = wire.decode(data)
        except ContractError as error:
            context.reject(topic, error.reason, f"Driver {self.id}, topic {topic}: {error}.")
            return
        outcome = self._nodes[levels[3]].take(kind, device, payload)
        context.count("messages")
        context.count("unattributed", outcome.unattributed)
        context.count("ignored", int(outcome.ignored is not None))
        self._use(levels[3], device, outcome, payload, context)
        if kind == "NBIRTH":
            self._rebirths.born(levels[3])
            context.good()

    def _use(
        self, node: str, device: str | None, outcome: Outcome, payload: wire.Payload, context: DriverContext
    ) -> None:
        if outcome.dead:
            t = payload.time_ms * 1000 if device is not None and payload.time_ms else now_us()
            sensors = [s for (n, key), s in self._sensors.items() if n == node and device in (None, key[0])]
            self._silence([sensor.id for sensor in sensors], t, context)
        if outcome.born:
            self._birth(node, outcome.born, context)
        live, late = self._readings(node, outcome.updates, context)
        self._hand_over(live, "live", context)
        self._hand_over(late, "bulk", context)

    def _readings(
        self, node: str, updates: Iterable[Update], context: DriverContext
    ) -> tuple[list[Reading], list[Reading]]:
        """Readings of mapped metrics: of now, and of the past (the node calls them historical)."""
        live: list[Reading] = []
        late: list[Reading] = []
        for update in updates:
            sensor = self._sensors.get((node, update.key))
            if sensor is None:
                context.count("unmapped")
                continue
            try:
                (late if update.metric.historical else live).append(reading(sensor, update, now_us()))
            except ContractError as error:
                device = f"/{update.key[0]}" if update.key[0] else ""
                where = f"{node}{device}: {update.key[1]}"
                context.reject(where, error.reason, f"Driver {self.id}, {where} ({sensor.id}): {error}.")
        return live, late

    def _hand_over(self, readings: list[Reading], lane: Lane, context: DriverContext) -> None:
        fresh, marks = context.marks.fresh(readings)
        context.count("repeated", len(readings) - len(fresh))
        if fresh and context.deliver(Batch(self.id, lane, readings=tuple(fresh), marks=tuple(marks))):
            context.marks.keep(marks)
            if lane == "live":
                self._alive.update(one.sensor for one in fresh if one.val is not None)

    def _silence(self, sensors: list[str], t: int, context: DriverContext) -> None:
        """`null`, quality bad, for those of `sensors` that had a value."""
        silent = [sensor for sensor in sensors if sensor in self._alive]
        self._alive.difference_update(silent)
        self._hand_over([Reading(sensor, t, None, Quality.BAD) for sensor in silent], "live", context)

    def _birth(self, node: str, born: list[tuple[Key, wire.Metric]], context: DriverContext) -> None:
        """Tells units that only the birth knows, and what `edge.yaml` does not map, as a draft to be pasted."""
        unmapped = [(key, metric) for key, metric in born if (node, key) not in self._sensors]
        for key, metric in born:
            sensor = self._sensors.get((node, key))
            if sensor is not None and sensor.unit is None and metric.unit is not None:
                context.announce(
                    AnnouncedSensor(
                        id=sensor.id, driver=self.id, unit=metric.unit, quantity=sensor.quantity, delivery="once"
                    )
                )
        if unmapped:
            context.note(f"{node}/{born[0][0][0]}", f"Driver {self.id}, edge node {node}: {draft(node, unmapped)}")
        device = born[0][0][0]
        names = {key for key, _ in born}
        for (where, key), sensor in self._sensors.items():
            if where == node and key[0] == device and key not in names:
                context.reject(
                    node, "metric_missing",
                    f"Driver {self.id}: the birth of {node}{f'/{device}' if device else ''} has no metric {key[1]!r}"
                    f" ({sensor.id}). Check `metric` in edge.yaml.",
                )  # fmt: skip

    def _ask_for_births(self, connection: Connection, context: DriverContext) -> None:
        for name, node in self._nodes.items():
            if node.doubt is not None and self._rebirths.may_ask(name, time.monotonic()):
                topic = f"{NAMESPACE}/{self._config.group}/NCMD/{name}"
                connection.publish(topic, wire.rebirth_command(now_us() // 1000), qos=0)
                context.count("rebirths_asked")


def _state(*, online: bool, time_ms: int) -> bytes:
    return json.dumps({"online": online, "timestamp": time_ms}).encode()


def build(config: SparkplugDriver, _base: Path, edge: EdgeFile) -> Sparkplug:
    """The driver for one broker: the hub's own where none is named."""
    client_id = config.client_id or f"{edge.hub}.{edge.party}.{edge.device}.{config.id}"
    return Sparkplug(config, config.broker or edge.broker, client_id)

"""From arrivals to a batch for the store: who sent it, under which key, and what of it can be used."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import ValidationError

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import parse_json, parse_key
from sidestream_contracts.messages import AnnouncedSensor, Status
from sidestream_contracts.topics import DeviceAddress, parse_topic
from sidestream_ingest.arrivals import Arrival
from sidestream_ingest.check import check_frames, check_undamaged
from sidestream_ingest.layout import Layouts
from sidestream_ingest.plain import Arrived
from sidestream_ingest.sending import read_sending
from sidestream_store.batch import CheckedFrame
from sidestream_store.catalogue import Catalogue, announce, device_number, is_current, load_catalogue, save_status
from sidestream_store.connect import Connection
from sidestream_store.delivery import apply_frames
from sidestream_store.quarantine import Message, Quarantined

_RELOAD_S = 2.0


@dataclass(slots=True)
class Batch:
    """What one transaction will apply, whom to tell afterwards, and the arrivals that all of it came by.

    `statuses`: each with the number of its device.
    """

    arrivals: Sequence[Arrival] = ()
    frames: list[CheckedFrame] = field(default_factory=list)
    loose: list[Quarantined] = field(default_factory=list)
    statuses: list[tuple[int, Status, Message]] = field(default_factory=list)
    senders: dict[int, DeviceAddress] = field(default_factory=dict)


class Desk:
    """Knows the hub as applied and what devices announced; reloads when that has changed."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._layouts: Layouts | None = None
        self._looked_at = 0.0
        self._numbers: dict[tuple[str, str], int] = {}
        self._announced: dict[tuple[DeviceAddress, str], AnnouncedSensor] = {}
        self.names: dict[int, str] = {}

    def sort(self, connection: Connection, arrivals: Iterable[Arrival]) -> Batch:
        """Every arrival ends in exactly one place of the batch. Announcements in it hold for its frames already."""
        arrivals = list(arrivals)
        catalogue = self._hear(connection, self._current(connection), arrivals)
        batch = Batch(arrivals)
        arrived = [one for arrival in arrivals if (one := self._opened(connection, batch, arrival)) is not None]
        if self._layouts is None or self._layouts.catalogue is not catalogue:
            self._layouts = Layouts(catalogue)
        batch.frames = check_frames(arrived, self._layouts, lambda one, sensor: self._line(batch, one, sensor))
        return batch

    def _opened(self, connection: Connection, batch: Batch, arrival: Arrival) -> Arrived | None:
        """The frame that came, its sender and its key; whatever has none goes elsewhere in the batch."""
        topic = arrival.topic
        message = Message(topic, _device_of(topic), arrival.payload, arrival.received_at, arrival.properties)
        try:
            address, channel = parse_topic(topic)
            if channel == "status":
                status = _status(message)
                batch.statuses.append((self._number(connection, address), status, message))
                return None
            key = parse_key(arrival.properties)
            check_undamaged(message, key)
        except ContractError as error:
            batch.loose.append(message.quarantined(error.reason, str(error), 0))
            return None
        number = self._number(connection, address)
        batch.senders[number] = address
        return Arrived(message, key, number, read_sending(arrival.properties))

    def _hear(self, connection: Connection, catalogue: Catalogue, arrivals: Sequence[Arrival]) -> Catalogue:
        """The catalogue with the units that devices announce among these arrivals."""
        for arrival in arrivals:
            if not arrival.topic.endswith("/status"):
                continue
            try:
                address, _ = parse_topic(arrival.topic)
                status = _status(Message(arrival.topic, "", arrival.payload, arrival.received_at))
            except ContractError:  # told where the arrival itself is sorted
                continue
            for sensor in status.sensors:
                self._announced[address, sensor.id] = sensor
            if status.state == "online":
                units = {sensor.id: sensor.unit for sensor in status.sensors}
                catalogue = announce(catalogue, self._number(connection, address), units)
        self._catalogue = catalogue
        return catalogue

    def _current(self, connection: Connection) -> Catalogue:
        now = time.monotonic()
        if self._catalogue is None or (
            now - self._looked_at > _RELOAD_S and not is_current(connection, self._catalogue)
        ):
            self._catalogue = load_catalogue(connection)
            self._numbers.clear()
            self.names = {sensor.sensor_id: name for name, sensor in self._catalogue.sensors.items()}
        if now - self._looked_at > _RELOAD_S:
            self._looked_at = now
        return self._catalogue

    def _number(self, connection: Connection, address: DeviceAddress) -> int:
        who = (address.party, address.device)
        number = self._numbers.get(who)
        if number is None:
            number = self._numbers[who] = device_number(connection, *who)
        return number

    def _line(self, batch: Batch, frame: Arrived, sensor: str) -> str:
        address = batch.senders[frame.device_id]
        if frame.message.topic.endswith("/scans"):
            return _scanner_snippet(address, sensor)
        return self._snippet(address, sensor)

    def _snippet(self, address: DeviceAddress, sensor: str) -> str:
        """The line for hub.yaml that makes the sensor known, as far as its edge has announced it."""
        told = self._announced.get((address, sensor))
        quantity = told.quantity if told and told.quantity else "QUANTITY"
        unit = told.unit if told and told.unit else "UNIT"
        return (
            f"`- {{id: {sensor}, device: {address.device}, name: {sensor}, quantity: {quantity}, unit: {unit}, "
            "stream: STREAM}` and run `sidestream hub apply`."
        )


def save_statuses(connection: Connection, batch: Batch) -> None:
    """The newest status of each device is in the database, or in quarantine where the database refuses it."""
    for number, status, message in batch.statuses:
        try:
            save_status(connection, number, status.model_dump(mode="json"), message.received_at)
        except ContractError as error:
            apply_frames(connection, [], [message.quarantined(error.reason, str(error), 0)])


@lru_cache(maxsize=4096)
def _device_of(topic: str) -> str:
    """`hub/party/device` of a topic; empty where that can't be read."""
    try:
        address, _ = parse_topic(topic)
    except ContractError:
        return ""
    return f"{address.hub}/{address.party}/{address.device}"


def _scanner_snippet(address: DeviceAddress, sensor: str) -> str:
    """The line for hub.yaml that makes a scanner or reader known."""
    return (
        f"`- {{id: {sensor}, device: {address.device}, name: {sensor}, quantity: scan, role: scan, node: NODE}}` "
        "and run `sidestream hub apply`."
    )


def _status(message: Message) -> Status:
    try:
        return Status.model_validate(parse_json(message.raw))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ContractError("bad_status", f"Status message: {where}: {first['msg']}.") from error

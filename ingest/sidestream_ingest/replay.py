"""What lies in quarantine is checked again with the hub as it is now, and what has become usable is applied, once.

Each entry is one transaction: the entry is locked, checked at the time at which it first came, applied under its own
frame's row in the ledger, and closed. So two replays at the same time, a kill in between or a late re-send by the edge
never double a reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from sidestream_contracts.errors import ContractError, DomainError
from sidestream_contracts.frame import parse_key
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.reasons import reason
from sidestream_contracts.snippets import as_line, sensor_entry
from sidestream_contracts.topics import DeviceAddress, parse_topic
from sidestream_ingest.check import ANNOUNCED_UNIT, check_frame
from sidestream_store.batch import CheckedFrame
from sidestream_store.catalogue import Catalogue, announce, device_number, is_current, load_catalogue
from sidestream_store.connect import Connection, open_connection
from sidestream_store.partitions import Partitions
from sidestream_store.quarantine.entries import Entry, Selection, announced, entry, lock_open, select_open
from sidestream_store.quarantine.explain import decoded
from sidestream_store.quarantine.resolve import Outcome, apply_replayed, one_replay, record, refused

Progress = Callable[[int, int], None]


def replay_at(
    dsn: str, selection: Selection, author: str, progress: Progress = lambda _done, _all: None
) -> list[Outcome]:
    """What became of every open entry that is meant; an id that is not open is told as such. As `replay`."""
    with open_connection(dsn, "replay", autocommit=True) as connection:
        return list(replay(connection, selection, author, progress))


def replay(
    connection: Connection, selection: Selection, author: str, progress: Progress = lambda _done, _all: None
) -> Iterator[Outcome]:
    """One outcome for each open entry that is meant, in the order in which they came, each committed before it is given.

    The connection is in autocommit mode. DomainError for an empty author or an unknown id; TransientError when the
    database goes away, which leaves the entry at hand as it was.
    """
    if not author.strip():
        raise DomainError("A replay needs the name of who asked for it; it stays on record.")
    found = list(selection.ids) or select_open(connection, selection)
    replayer = _Replayer(connection, author.strip())
    for number, quarantine_id in enumerate(found, start=1):
        yield replayer.one(quarantine_id)
        progress(number, len(found))


def why_never(found: Entry) -> str | None:
    """Why the entry must or can not be replayed, whatever hub.yaml says; None where it may be tried."""
    if found.state != "open":
        return f"It is {found.state} already."
    if found.counted_only:
        return "It stands for messages that were only counted: their bytes are not kept, so there is nothing to replay."
    if why := reason(found.reason).never:
        return f"It must not be replayed: {why}."
    if found.cut:
        return f"Of its {found.raw_bytes} bytes only the first {len(found.raw)} are kept, so it can't be replayed."
    return None


def as_announced_then(catalogue: Catalogue, found: Entry) -> Catalogue:
    """The catalogue with the unit in which the edge announced the entry's sensor when the entry came.

    For what came then was in that unit, even if the edge was corrected since.
    """
    sensor = catalogue.sensors.get(found.sensor or "")
    frame = decoded(found.raw) if found.reason == "wrong_unit" else None
    told = frame.get(ANNOUNCED_UNIT) if frame else None
    if sensor is None or not isinstance(told, str):
        return catalogue
    return announce(catalogue, sensor.device_id, {str(found.sensor): told})


class _Replayer:
    """One connection and what was loaded by it; everything is loaded anew when another hub version is applied."""

    def __init__(self, connection: Connection, author: str) -> None:
        self._connection, self._author = connection, author
        self._catalogue: Catalogue | None = None
        self._announced: dict[DeviceAddress, Mapping[str, AnnouncedSensor]] = {}
        self._partitions = Partitions()

    def one(self, quarantine_id: int) -> Outcome:
        """What became of this entry; whatever it is, it is on record."""
        found = entry(self._connection, quarantine_id)
        if why := why_never(found):
            return self._record(refused(found, why))
        try:
            self._make_partitions(self._checked(found))
            with one_replay(self._connection):
                return self._apply(found)
        except DomainError as error:
            return self._record(refused(found, f"{error} Nothing was changed."))
        except ContractError as error:
            return self._record(refused(found, f"Still not usable: {error}"))

    def _apply(self, found: Entry) -> Outcome:
        locked = lock_open(self._connection, found.quarantine_id)
        if locked is None:
            return refused(entry(self._connection, found.quarantine_id), "Somebody else has just dealt with it.")
        outcome = apply_replayed(self._connection, locked, self._checked(locked))
        record(self._connection, "replay", self._author, outcome)
        return outcome

    def _record(self, outcome: Outcome) -> Outcome:
        with one_replay(self._connection):
            record(self._connection, "replay", self._author, outcome)
        return outcome

    def _checked(self, found: Entry) -> CheckedFrame:
        """As ingest would check the message had it come at its time with the hub of now."""
        catalogue = as_announced_then(self._current(), found)
        try:
            address, channel = parse_topic(found.topic)
            key = parse_key(list(found.properties))
        except ContractError as error:
            raise DomainError(f"It can't be replayed: {error}") from error
        number = device_number(self._connection, address.party, address.device)
        line = partial(self._line, address, scans=channel == "scans")
        return check_frame(found.message, key, number, catalogue, line)

    def _line(self, address: DeviceAddress, sensor: str, *, scans: bool) -> str:
        if address not in self._announced:
            self._announced[address] = announced(self._connection, address.party, address.device)
        told = self._announced[address].get(sensor)
        return f"`- {as_line(sensor_entry(sensor, address.device, told, scans=scans))}` and run `sidestream hub apply`."

    def _current(self) -> Catalogue:
        if self._catalogue is None or not is_current(self._connection, self._catalogue):
            self._catalogue = load_catalogue(self._connection)
            self._announced.clear()
        return self._catalogue

    def _make_partitions(self, frame: CheckedFrame) -> None:
        if not frame.recorded:
            self._partitions.ensure(self._connection, [frame.readings.time_us])

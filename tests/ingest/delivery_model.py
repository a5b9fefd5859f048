"""The delivery protocol as a state machine: real outbox, session, window, ledger; a broker that may do as it likes.

Only sockets and clocks are stood in for. The edge's `Session` talks to a `Wire` that puts what is published into a bag;
two workers take from the bag in any order, any number of times, and write to a real PostgreSQL over connections of their
own. `docs/delivery.md` numbers the invariants that are checked here (D1, D2, …).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psycopg
from frames import GATEWAY, NOW, NOW_US, scans_body
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import LANES, parse_key, payload_hash
from sidestream_contracts.messages import Acknowledgement, Hello, Status
from sidestream_contracts.topics import hello_topic
from sidestream_edge.connection import Confirmed, Connected, Lost, Received
from sidestream_edge.framing import merged, readings_payload
from sidestream_edge.measurement import Reading
from sidestream_edge.outbox import Draft, Outbox
from sidestream_edge.session import Session
from sidestream_edge.suspicion import Suspicion
from sidestream_ingest.check import check_frame, check_undamaged
from sidestream_store import audit
from sidestream_store.catalogue import device_number, load_catalogue
from sidestream_store.delivery import apply_frames
from sidestream_store.ledger import acknowledgements
from sidestream_store.quarantine import Message

PICK = st.integers(0, 10_000)
WORKER = st.integers(0, 1)
TABLES = ("reading", "scan", "latest", "frame", "frame_mark", "dirty", "quarantine")


class Clock:
    """Stands in for `time` in the session: the model says how late it is."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


class Key(NamedTuple):
    """A frame's key, with its hash: two frames of one key are two."""

    epoch: str
    lane: str
    seq: int
    hash: str


@dataclass
class Journal:
    """A frame as the edge stored it. `required`: no legitimate event has destroyed the only copy."""

    values: list[float | str]
    required: bool = True


@dataclass(frozen=True)
class Sent:
    """One PUBLISH in the broker's bag."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]


class Wire:
    """The edge's connection as its session sees it; it also sees that a lane goes out in order (D6)."""

    def __init__(self, bag: list[Sent]) -> None:
        self._bag, self._mids = bag, count(1)
        self.unconfirmed: dict[int, Sent] = {}
        self._first_sent: dict[tuple[str, str], int] = {}
        self._epochs: dict[str, list[str]] = {lane: [] for lane in LANES}

    def subscribe(self, topics: list[str]) -> None:
        assert GATEWAY.topic("ack") in topics

    def publish(self, topic, payload, properties=None, *, retain=False) -> int:
        mid = next(self._mids)
        pairs = tuple(properties.UserProperty) if properties is not None else ()
        self.unconfirmed[mid] = Sent(topic, payload, pairs)
        if pairs:
            self._in_order(dict(pairs))
            self._bag.append(self.unconfirmed[mid])
        return mid

    def _in_order(self, key: dict[str, str]) -> None:
        epoch, lane, seq = key["epoch"], key["lane"], int(key["seq"])
        if epoch not in self._epochs[lane]:
            self._epochs[lane].append(epoch)
        newest = self._first_sent.get((epoch, lane), 0)
        if seq > newest:
            assert epoch == self._epochs[lane][-1], "D6: an older epoch's frame went out after a newer one's"
            self._first_sent[epoch, lane] = seq


@dataclass
class Worker:
    """One ingest worker: what it holds in memory dies with it."""

    connection: psycopg.Connection
    holding: list[Sent] = field(default_factory=list)
    applied: set[tuple[int, str, str, int]] = field(default_factory=set)
    memory: Counter = field(default_factory=Counter)
    open: ExitStack | None = None


@dataclass
class Hub:
    """What lives longer than one run of the machine: a folder, the clock, and connections to the database."""

    folder: Path
    clock: Clock
    observer: psycopg.Connection
    connections: list[psycopg.Connection]

    def __post_init__(self) -> None:
        for (
            connection
        ) in self.connections:  # two workers in one thread: who would wait for the other tries later instead
            connection.execute("SET lock_timeout = '20ms'")


class DeliveryMachine(RuleBasedStateMachine):
    """Any interleaving of measuring, sending, losing, repeating, committing, dying, acknowledging and restoring."""

    hub: Hub

    @initialize()
    def begin(self) -> None:
        self.hub.observer.execute("; ".join(f"DELETE FROM sidestream.{table}" for table in TABLES))
        self.numbers = count(1)
        self.path = self.hub.folder / f"outbox-{next(self._runs)}.sqlite"
        self.image: Path | None = None
        self.imaged: set[Key] = set()
        self.bag: list[Sent] = []
        self.acks: list[Acknowledgement] = []
        self.journal: dict[Key, Journal] = {}
        self.forged: list[float] = []
        self.stolen: set[tuple[str, str, int]] = set()
        self.present: set[Key] = set()
        self.workers = [Worker(connection) for connection in self.hub.connections]
        self.catalogue = load_catalogue(self.hub.observer)
        self.device = device_number(self.hub.observer, "a", "gw")
        self.outbox = self.open_outbox()
        self.connect_edge()
        self.measure("live", 2, strange=False)

    _runs = count(1)

    # What the mutants of test_delivery_model.py change -------------------------------------------------------------
    def open_outbox(self) -> Outbox:
        return Outbox(self.path, merge=merged)

    def apply(self, worker: Worker, frames: list) -> None:
        apply_frames(worker.connection, frames)

    def acknowledge(self, worker: Worker) -> list[Acknowledgement]:
        return [ack for _, ack in acknowledgements(worker.connection, worker.applied)]

    def may_acknowledge(self, worker: Worker) -> bool:
        return worker.open is None

    def received(self, worker: Worker) -> None:
        """What has come is only held."""

    def confirmed(self, sent: Sent) -> None:
        """The broker's PUBACK changes nothing."""

    # The edge ------------------------------------------------------------------------------------------------------
    def connect_edge(self) -> None:
        edge = EdgeFile.model_validate(
            {"version": 1, "hub": "h", "party": "a", "device": "gw", "broker": {"host": "127.0.0.1"},
             "drivers": [{"id": "gun", "type": "scanner", "source": "scans.txt", "sensor": "gate"}]}
        )  # fmt: skip
        self.wire = Wire(self.bag)
        status = Status(state="online", epoch=self.outbox.epoch, at=datetime.now(UTC))
        self.session = Session(edge, self.outbox, self.wire, lambda: status, Suspicion())
        self.advance(Connected(None, None))
        self.confirm_all()

    def advance(self, *events) -> None:
        self.session.advance(list(events), woken=True)
        if self.session.lost is not None:
            self.connect_edge()

    def confirm_all(self) -> None:
        waiting, self.wire.unconfirmed = self.wire.unconfirmed, {}
        self.advance(*(Confirmed(mid, None) for mid in waiting))
        for sent in waiting.values():
            self.confirmed(sent)

    @rule(lane=st.sampled_from((*LANES, "spool")), frames=st.integers(1, 3), strange=st.booleans())
    def measure(self, lane, frames, strange) -> None:
        drafts = []
        for _ in range(frames):
            n = next(self.numbers)
            if lane == "scan":
                drafts.append(Draft(lane, "scans", scans_body(("gate", NOW_US + n, f"BAG-{n}"))))
            else:
                m = next(self.numbers)
                pair = [
                    Reading("flow", NOW_US + n, float(n)),
                    Reading("nosuch" if strange else "tin", NOW_US + m, float(m)),
                ]
                drafts.append(Draft("live" if lane == "spool" else lane, "readings", readings_payload(pair, "live")))
        if lane == "spool":
            self.outbox.spool(drafts, {}, (), part_bytes=300)
        else:
            self.outbox.append(drafts)
        self.note_what_is_stored()
        self.advance()

    def note_what_is_stored(self) -> None:
        """What now has a key. A restored gateway may hold less under a key than the original did."""
        for stored in (s for lane in LANES for s in self.outbox.waiting(lane, None, 10_000)):
            key = Key(stored.key.epoch, stored.key.lane, stored.key.seq, stored.key.hash)
            if key not in self.present:
                self.present.add(key)
                self.journal[key] = Journal(json.loads(stored.payload)["val"], key[:3] not in self.stolen)

    @rule()
    def the_outage_ends_for_the_spool(self) -> None:
        self.outbox.pack()
        self.note_what_is_stored()
        self.advance()

    @rule(what=st.sampled_from(["time passes", "much time passes", "PUBACKs come", "line is cut", "hello comes"]))
    def line(self, what) -> None:
        """Whatever may happen between the edge and its broker."""
        match what:
            case "time passes" | "much time passes":
                self.hub.clock.now_s += 2.5 if what == "time passes" else 30.0
                self.advance()
            case "PUBACKs come":
                self.confirm_all()
            case "line is cut":
                self.advance(Lost("cut", None, by_peer=False))
            case "hello comes":
                body = Hello(worker="w", at=datetime.now(UTC)).model_dump_json().encode()
                self.advance(Received(hello_topic("h"), body))

    @rule(what=st.sampled_from(["crash", "image", "restore"]))
    def gateway(self, what) -> None:
        """The agent is killed and starts again; its disk is copied; it is put back to that copy."""
        match what:
            case "crash":
                self.outbox.close()
                self.outbox = self.open_outbox()
                self.note_what_is_stored()
                self.connect_edge()
            case "image":
                self.image_is_taken()
            case "restore" if self.image is not None:
                self.gateway_is_restored_from_the_image()

    def image_is_taken(self) -> None:
        self.outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.image = self.path.with_suffix(".image")
        shutil.copy(self.path, self.image)
        self.imaged = set(self.present)

    def gateway_is_restored_from_the_image(self) -> None:
        """What only the lost disk held may be lost; all else may not."""
        self.outbox.close()
        for key in self.present - self.imaged:
            self.journal[key].required = False
        self.path = self.path.with_name(f"outbox-{next(self._runs)}.sqlite")
        shutil.copy(self.image, self.path)
        self.present = set(self.imaged)
        self.outbox = self.open_outbox()
        self.note_what_is_stored()
        self.connect_edge()

    # The broker ----------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.bag)
    @rule(pick=st.none() | PICK)
    def broker_loses(self, pick) -> None:
        """One message, or all that it holds."""
        if pick is None:
            self.bag.clear()
        else:
            self.bag.pop(pick % len(self.bag))

    @precondition(lambda self: self.bag)
    @rule(
        worker=WORKER,
        picks=st.lists(PICK, min_size=1, max_size=8),
        keep=st.booleans(),
        then=st.sampled_from(["hold", "apply", "commit", "acknowledge"]),
    )
    def broker_delivers(self, worker, picks, keep, then) -> None:
        """Any messages in any order; with `keep` they will be delivered again."""
        chosen = [self.bag[pick % len(self.bag)] for pick in picks]
        self.workers[worker].holding += chosen
        self.received(self.workers[worker])
        if not keep:
            self.bag[:] = [sent for sent in self.bag if sent not in chosen]
        if then == "apply":
            self.worker_applies_and_has_not_committed_yet(worker)
        elif then != "hold":
            self.worker_commits(worker)
        if then == "acknowledge":
            self.worker_acknowledges(worker)

    @precondition(lambda self: self.journal)
    @rule(pick=PICK, worker=WORKER)
    def someone_sends_other_content_under_a_used_key(self, pick, worker) -> None:
        """If it is committed before the true frame, the true one can only be kept in quarantine, or was never sent."""
        (epoch, lane, seq, digest), _ = sorted(self.journal.items())[pick % len(self.journal)]
        if not self.kept([digest]):
            self.stolen.add((epoch, lane, seq))
            for key in [key for key in self.journal if key[:3] == (epoch, lane, seq)]:
                self.journal[key].required = False
        n = next(self.numbers)
        payload = readings_payload([Reading("tout", NOW_US + n, float(n))], "live")
        self.forged.append(float(n))
        pairs = (("epoch", epoch), ("lane", lane), ("seq", str(seq)), ("hash", payload_hash(payload)))
        self.workers[worker].holding.append(Sent(GATEWAY.topic("readings"), payload, pairs))

    # The hub -------------------------------------------------------------------------------------------------------
    def checked(self, worker: Worker) -> list:
        frames = []
        for sent in worker.holding:
            message = Message(sent.topic, "h/a/gw", sent.payload, NOW, sent.properties)
            key = parse_key(list(sent.properties))
            check_undamaged(message, key)
            frames.append(check_frame(message, key, self.device, self.catalogue, lambda s: s))
            worker.memory[self.device, key.epoch, key.lane] = max(
                key.seq, worker.memory[self.device, key.epoch, key.lane]
            )
        return frames

    def take_in(self, worker: Worker) -> bool:
        frames = self.checked(worker)
        try:
            self.apply(worker, frames)
        except TransientError:
            return False  # the other worker's open transaction is in the way
        worker.applied |= {f.ledger_key for f in frames}
        worker.holding = []
        return True

    @precondition(lambda self: any(w.holding or w.open or w.applied for w in self.workers))
    @rule(worker=WORKER, what=st.sampled_from(["apply", "commit", "acknowledge", "acknowledge", "die"]))
    def worker_goes_on(self, worker, what) -> None:
        """One step of what it has to do; or it dies before a commit, within one, or before the acknowledgement."""
        match what:
            case "apply":
                self.worker_applies_and_has_not_committed_yet(worker)
            case "commit":
                self.worker_ends_its_open_commit(worker)
                self.worker_commits(worker)
            case "acknowledge":
                self.worker_acknowledges(worker)
            case "die":
                self.worker_dies(worker)

    def worker_commits(self, worker) -> None:
        w = self.workers[worker]
        if w.open is None and w.holding:
            self.take_in(w)

    def worker_applies_and_has_not_committed_yet(self, worker) -> None:
        w = self.workers[worker]
        if w.open is None and w.holding:
            with ExitStack() as stack:
                stack.enter_context(w.connection.transaction())
                if self.take_in(w):
                    w.open = stack.pop_all()

    def worker_ends_its_open_commit(self, worker) -> None:
        w = self.workers[worker]
        if w.open is not None:
            w.open.close()
            w.open = None

    def worker_dies(self, worker) -> None:
        w = self.workers[worker]
        if w.open is not None:
            w.open.__exit__(psycopg.Rollback, psycopg.Rollback(), None)
        self.workers[worker] = Worker(w.connection)

    def worker_acknowledges(self, worker) -> None:
        w = self.workers[worker]
        if not w.applied or not self.may_acknowledge(w):
            return
        try:
            self.acks += self.acknowledge(w)
        except TransientError:
            return
        w.applied = set()

    @precondition(lambda self: self.acks)
    @rule(pick=PICK, what=st.sampled_from(["arrives", "arrives", "arrives and will again", "is lost"]))
    def acknowledgement(self, pick, what) -> None:
        """Now or much later, once or again, even after the gateway was restarted or restored; or never."""
        at = pick % len(self.acks)
        ack = self.acks[at] if what == "arrives and will again" else self.acks.pop(at)
        if what != "is lost":
            self.advance(Received(GATEWAY.topic("ack"), ack.model_dump_json().encode()))

    # What must hold ------------------------------------------------------------------------------------------------
    def kept(self, hashes: list[str]) -> set[str]:
        """Which of these contents are committed, in the tables or in quarantine; seen by a third connection."""
        rows = self.hub.observer.execute(
            "SELECT encode(hash, 'hex') FROM sidestream.frame WHERE hash = ANY (SELECT decode(h, 'hex') FROM unnest(%s::text[]) h)"
            " UNION SELECT hash FROM sidestream.quarantine WHERE hash = ANY (%s::text[])",
            [hashes, hashes],
        ).fetchall()
        return {row[0] for row in rows}

    @invariant()
    def the_edge_deletes_only_what_is_committed(self) -> None:
        waiting = {
            Key(s.key.epoch, lane, s.key.seq, s.key.hash)
            for lane in LANES
            for s in self.outbox.waiting(lane, None, 10_000)
        }
        gone = [key for key in self.present - waiting if self.journal[key].required]
        kept = self.kept([key.hash for key in gone]) if gone else set()
        if missing := [value for key in gone if key.hash not in kept for value in self.journal[key].values]:
            assert set(missing) <= self.committed_or_apart(), "D3: deleted on the edge, not committed in the hub"
        self.present &= waiting

    @invariant()
    def an_acknowledgement_says_only_what_is_in_the_ledger(self) -> None:
        for ack in self.acks:
            said = {n for low, high in [(1, ack.upto), *ack.also] for n in range(low, high + 1)}
            rows = self.hub.observer.execute(
                'SELECT seq FROM sidestream.frame WHERE epoch = %s::uuid AND lane = %s::text::"char"',
                [ack.epoch, ack.lane[0]],
            ).fetchall()
            assert said <= {row[0] for row in rows}, "D2: acknowledged, not in the ledger"

    @invariant()
    def nothing_is_there_twice(self) -> None:
        rows = self.hub.observer.execute(
            "SELECT value FROM sidestream.reading GROUP BY value HAVING count(*) > 1"
        ).fetchall()
        assert rows == [], "D1: a reading is in the tables twice"

    def teardown(self) -> None:
        if not hasattr(self, "workers"):
            return
        try:
            self.drain()
            self.count()
        finally:
            for number in (0, 1):
                self.worker_dies(number)
            self.outbox.close()

    def drain(self) -> None:
        """From here on all goes well, and within a few rounds nothing waits any more (D5)."""
        for number in (0, 1):
            self.worker_dies(number)
        self.the_outage_ends_for_the_spool()
        for n in range(30):
            self.hub.clock.now_s += 301
            self.advance()
            self.confirm_all()
            worker = self.workers[n % 2]
            worker.holding, self.bag[:] = list(self.bag), []
            if worker.holding:
                self.take_in(worker)
                self.worker_acknowledges(n % 2)
            while self.acks:
                self.acknowledgement(0, "arrives")
                self.the_edge_deletes_only_what_is_committed()
            if self.outbox.is_empty and not self.bag:
                return
        raise AssertionError("D5: the outbox does not drain")

    def count(self) -> None:
        """Journal against tables and quarantine, as multisets."""
        ask = self.hub.observer.execute
        rows = [*ask("SELECT value FROM sidestream.reading"), *ask("SELECT code FROM sidestream.scan")]
        committed = Counter(value for (value,) in rows)
        apart = self.apart()
        own = self.apart("reason <> 'key_reused'")
        required = {v for frame in self.journal.values() if frame.required for v in frame.values}
        known = {v for frame in self.journal.values() for v in frame.values} | set(self.forged)
        assert max(committed.values(), default=1) == 1, "D1: doubled"
        assert not required - set(committed) - apart, "D1: lost"
        assert not (set(committed) | apart) - known, "D1: from nowhere"
        assert not set(committed) & own & required, "D1: both used and set apart"

    def committed_or_apart(self) -> set[float | str]:
        ask = self.hub.observer.execute
        rows = [*ask("SELECT value FROM sidestream.reading"), *ask("SELECT code FROM sidestream.scan")]
        return {value for (value,) in rows} | self.apart()

    def apart(self, which: str = "true") -> set[float | str]:
        rows = self.hub.observer.execute(f"SELECT raw FROM sidestream.quarantine WHERE {which}").fetchall()
        return {value for (raw,) in rows for _, _, value in audit._itemised(raw)}

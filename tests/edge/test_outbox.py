"""The outbox keeps what is neither acknowledged nor deleted, whatever is done to it in whatever order."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidestream_contracts.errors import ConfigurationError, DomainError, TransientError
from sidestream_contracts.failpoint import SPOOL_POINTS, VARIABLE
from sidestream_contracts.frame import LANES, payload_hash
from sidestream_contracts.messages import Acknowledgement
from sidestream_edge.measurement import Mark
from sidestream_edge.outbox import Draft, Outbox, OutboxLock, read_journal
from sidestream_edge.outbox.ballast import Ballast
from sidestream_edge.outbox.store import ROW_BYTES


def drafts(lane: str, *bodies: bytes) -> list[Draft]:
    return [Draft(lane, "readings", body) for body in bodies]


def keys(outbox: Outbox, lane: str) -> list[tuple[str, int, bytes]]:
    return [(s.key.epoch, s.key.seq, s.payload) for s in outbox.waiting(lane, None, 10_000)]


PART = 9
"""Bytes of a part of the spool."""


def parts(bodies: list[bytes]) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    for body in bodies:
        if not found or sum(map(len, found[-1])) + len(body) > PART:
            found.append([])
        found[-1].append(body)
    return found


def joined(part: Sequence[Draft]) -> Sequence[Draft]:
    assert {draft.lane for draft in part} == {"bulk"}
    return drafts("bulk", b"+".join(draft.payload for draft in part))


class OutboxMachine(RuleBasedStateMachine):
    """Appends, acknowledgements and reopenings against a model made of plain dicts."""

    @initialize()
    def open(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name, "outbox.sqlite")
        self.outbox = Outbox(self.path, journal=True, merge=joined)
        self.kept: dict[tuple[str, str, int], bytes] = {}
        self.epochs = [self.outbox.epoch]
        self.given: dict[tuple[str, str], int] = {}
        self.cursor: str | None = None
        self.ever: list[bytes] = []
        self.parked: dict[tuple[str, str, int], bytes] = {}
        self.number = 0
        self.spooled: list[bytes] = []

    @rule(count=st.integers(1, 3))
    def spool(self, count: int) -> None:
        bodies = [b"s%d" % (self.number + n + 1) for n in range(count)]
        self.number += count
        self.cursor = str(self.number)
        self.spooled += bodies
        self.outbox.spool(drafts("live", *bodies), {"d": self.cursor}, [("d", Mark("s", self.number, 1, None))], PART)

    @rule()
    def pack(self) -> None:
        self.outbox.pack()
        self._packed()

    def _packed(self) -> None:
        """A frame of each part of what is spooled, or none, in the epoch in which it was spooled; the order stays."""
        bodies = [b"+".join(part) for part in parts(self.spooled)]
        for body in bodies:
            seq = self.given.get((self.epochs[-1], "bulk"), 0) + 1
            self.given[self.epochs[-1], "bulk"] = seq
            self.kept[self.epochs[-1], "bulk", seq] = body
        self.ever += bodies
        self.spooled = []

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 5), moves=st.booleans())
    def append(self, lane: str, count: int, moves: bool) -> None:
        bodies = []
        if lane == "bulk":
            self._packed()
        for _ in range(count):
            self.number += 1
            bodies.append(b"%d" % self.number)
            seq = self.given.get((self.epochs[-1], lane), 0) + 1
            self.given[self.epochs[-1], lane] = seq
            self.kept[self.epochs[-1], lane, seq] = bodies[-1]
        if moves:
            self.cursor = str(self.number)
        self.ever += bodies
        self.outbox.append(drafts(lane, *bodies), {"d": self.cursor} if moves else None)

    @rule(
        lane=st.sampled_from(LANES),
        epoch=st.integers(0, 5),
        upto=st.integers(0, 12),
        also=st.lists(st.tuples(st.integers(1, 15), st.integers(0, 3)), max_size=2),
    )
    def acknowledge(self, lane: str, epoch: int, upto: int, also: list[tuple[int, int]]) -> None:
        name = self.epochs[-1 - epoch % len(self.epochs)]
        ranges = [(low, low + more) for low, more in also]
        self.outbox.acknowledge(Acknowledgement(epoch=name, lane=lane, upto=upto, also=ranges))
        highest = max([upto, *(high for _, high in ranges)])
        if highest <= self.given.get((name, lane), 0):
            for low, high in [(1, upto), *ranges]:
                for seq in range(low, high + 1):
                    self.kept.pop((name, lane, seq), None)

    @rule()
    def reopen(self) -> None:
        self._packed()
        self.outbox.close()
        self.outbox = Outbox(self.path, journal=True, merge=joined)
        assert self.outbox.previous_epoch == self.epochs[-1]
        self.epochs.append(self.outbox.epoch)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        epoch, lane, seq = data.draw(st.sampled_from(sorted(self.kept)))
        (stored,) = [s for s in self.outbox.waiting(lane, None, 10_000) if (s.key.epoch, s.key.seq) == (epoch, seq)]
        self.parked.setdefault((epoch, lane, seq), stored.payload)
        self.kept[epoch, lane, seq] = self.outbox.park(stored, 100, "too large").payload

    @invariant()
    def what_is_not_acknowledged_is_kept_in_order(self) -> None:
        for lane in LANES:
            found = keys(self.outbox, lane)
            model = [(e, s) for e, name, s in self.kept if name == lane]
            assert [(e, s) for e, s, _ in found] == sorted(model, key=lambda es: (self.epochs.index(es[0]), es[1]))
            assert all(self.kept[e, lane, s] == payload for e, s, payload in found)
        assert self.outbox.is_empty == (not self.kept and not self.spooled)
        parked = sum(len(payload) for payload in self.parked.values())
        waiting = [*self.kept.values(), *self.spooled]
        assert self.outbox.size_bytes == sum(len(p) + ROW_BYTES for p in waiting) + parked
        assert self.outbox.cursor("d") == self.cursor

    @invariant()
    def journal_holds_everything_ever_appended(self) -> None:
        assert list(read_journal(self.path)) == self.ever

    def teardown(self) -> None:
        self.outbox.close()
        self._folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def test_an_acknowledgement_above_what_was_sent_deletes_nothing(path: Path) -> None:
    outbox = Outbox(path)
    outbox.append(drafts("live", b"1", b"2"))
    assert outbox.acknowledge(Acknowledgement(epoch=outbox.epoch, lane="live", upto=3)) is None
    assert outbox.acknowledge(Acknowledgement(epoch=outbox.epoch, lane="live", upto=1, also=[(2, 9)])) is None
    assert outbox.acknowledge(Acknowledgement(epoch="f" * 32, lane="live", upto=1)) is None
    assert len(keys(outbox, "live")) == 2
    outbox.close()


def test_a_restored_gateway_lets_go_of_what_it_sent_and_the_hub_has_but_of_nothing_unsent(path: Path) -> None:
    """The hub remembers seq 5 of an epoch of which the old image knows only 3; it can't have meant what was not sent."""
    first = Outbox(path)
    first.append(drafts("live", b"1", b"2", b"3"))
    first.close()
    restored = Outbox(path)
    sent = [s.place for s in restored.waiting("live", None, 2)]
    ack = Acknowledgement(epoch=first.epoch, lane="live", upto=5)
    assert restored.acknowledge(ack, sent) == sent
    assert [seq for _, seq, _ in keys(restored, "live")] == [3]
    restored.close()


@given(st.lists(st.binary(max_size=6), max_size=12), st.integers(0, 12), st.booleans())
def test_an_image_taken_while_spooling_gives_the_same_keys_to_what_it_holds(
    bodies: list[bytes], at: int, restarts: bool
) -> None:
    """Frame by frame the same, but that the last one of the image may end earlier than the original's of that key."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "outbox.sqlite")
        original = Outbox(path, merge=joined)
        original.append(drafts("bulk", b"before"))
        for n, body in enumerate(bodies):
            if n == at:
                image_of(original, path)
            original.spool(drafts("live", body), {}, (), PART)
        if len(bodies) <= at:
            image_of(original, path)
        if restarts:
            original.close()
            original = Outbox(path, merge=joined)
        else:
            original.append(drafts("bulk", b"between"))
        restored = Outbox(path.with_name("image"), merge=joined)
        theirs = {key: payload for *key, payload in keys(original, "bulk") for key in [tuple(key)]}
        mine = keys(restored, "bulk")
        assert [payload for *_, payload in mine[:-1]] == [theirs[key] for *key, _ in mine[:-1] for key in [tuple(key)]]
        *last, payload = mine[-1]
        assert theirs[tuple(last)].startswith(payload)
        for outbox in (original, restored):
            outbox.close()


def image_of(outbox: Outbox, path: Path) -> None:
    outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, path.with_name("image"))


@pytest.mark.parametrize("when", ["at the next start", "in use"])
@pytest.mark.parametrize("point", SPOOL_POINTS)
def test_a_kill_while_the_spool_is_packed_loses_and_doubles_nothing(path: Path, point: str, when: str) -> None:
    first = Outbox(path)
    first.spool(drafts("live", b"1", b"2"), {})
    first.close()
    script = (
        "import sys; from pathlib import Path; from sidestream_contracts import failpoint;"
        "from sidestream_edge.outbox import Draft, Outbox; path = Path(sys.argv[1]);"
        + (
            "failpoint.arm(); Outbox(path)"
            if when == "at the next start"
            else "o = Outbox(path); o.spool([Draft('live', 'readings', b'3')], {}); failpoint.arm(); o.pack()"
        )
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], env={**os.environ, VARIABLE: point}, check=False)
    assert killed.returncode == -signal.SIGKILL
    after = Outbox(path)
    found = keys(after, "bulk")
    assert [payload for *_, payload in found] == [b"1", b"2", b"3"][: 2 if when == "at the next start" else 3]
    assert found[0][:2] == (first.epoch, 1)
    assert not after.spooled.frames
    after.close()


def test_a_parked_frame_keeps_its_key_and_its_bytes(path: Path) -> None:
    outbox = Outbox(path)
    outbox.append(drafts("bulk", b"x" * 5000))
    (stored,) = outbox.waiting("bulk", None, 1)
    stand_in = outbox.park(stored, 1000, "too large")
    (again,) = outbox.waiting("bulk", None, 1)
    assert again == stand_in
    assert again.key.seq == 1
    assert again.key.hash == payload_hash(again.payload)
    assert outbox.parked == 1
    outbox.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT payload FROM parked").fetchone()[0] == b"x" * 5000
    db.close()


def test_a_full_disk_is_said_and_loses_neither_frame_nor_seq(path: Path) -> None:
    outbox = Outbox(path)
    outbox.append(drafts("live", b"1"))
    outbox._db.execute("PRAGMA max_page_count=1")  # the smallest it may be is the present size
    with pytest.raises(TransientError, match="full"):
        outbox.append(drafts("live", b"x" * 100_000), {"d": "7"})
    assert outbox.cursor("d") is None
    outbox._db.execute("PRAGMA max_page_count=100000")
    outbox.append(drafts("live", b"x" * 100_000), {"d": "7"})
    assert [seq for _, seq, _ in keys(outbox, "live")] == [1, 2]
    outbox.close()


def test_a_disk_that_became_read_only_is_a_trouble_that_is_told_and_waited_for(path: Path, monkeypatch) -> None:
    """A memory card that fails is mounted read-only: then not even the ballast can be given up."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    outbox = Outbox(path)
    outbox._db.execute("PRAGMA max_page_count=1")
    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "unlink", refuse)
        read_only.setattr(Path, "open", refuse)
        with pytest.raises(TransientError, match="full"):
            outbox.append(drafts("live", b"x" * 100_000))
        Ballast(path.with_name("other")).take()
    outbox._db.execute("PRAGMA max_page_count=100000")
    outbox.append(drafts("live", b"x" * 100_000))
    assert [seq for _, seq, _ in keys(outbox, "live")] == [1]
    outbox.close()


def test_bulk_is_refused_first_then_live_and_scans_never(path: Path) -> None:
    outbox = Outbox(path, max_bytes=100_000)
    outbox.append(drafts("live", b"x" * 85_000))
    assert [outbox.refusal(lane) for lane in ("scan", "live", "bulk")] == [None, None, "outbox_full"]
    outbox.append(drafts("live", b"x" * 20_000))
    assert [outbox.refusal(lane) for lane in ("scan", "live", "bulk")] == [None, "outbox_full", "outbox_full"]
    outbox.acknowledge(Acknowledgement(epoch=outbox.epoch, lane="live", upto=2))
    assert not outbox.fullness().refused
    outbox.close()


def test_what_has_waited_too_long_refuses_bulk_first_then_live_never_scans_and_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidestream_edge.outbox.room.LOOK_AT_AGE_S", 0.0)
    outbox = Outbox(path, max_age_s=1000.0)
    outbox.append([*drafts("live", b"1"), *drafts("scan", b"2")])

    def told_at(waited: timedelta) -> list[str | None]:
        stored_at = (datetime.now(UTC) - waited).isoformat()
        outbox._db.execute("UPDATE frame SET stored_at = ? WHERE lane = 'live'", (stored_at,))
        return [outbox.refusal(lane) for lane in ("scan", "live", "bulk")]

    assert told_at(timedelta(seconds=700)) == [None, None, None]
    assert told_at(timedelta(seconds=850)) == [None, None, "outbox_old"]
    assert told_at(timedelta(seconds=1100)) == [None, "outbox_old", "outbox_old"]
    assert outbox.fullness().oldest_s > 1000
    assert told_at(timedelta(days=56 * 365)) == [None, None, None], "stored while the clock said 1970"
    assert told_at(timedelta(days=-10)) == [None, None, None], "stored while the clock was ahead"
    assert len(keys(outbox, "live")) == 1
    told_at(timedelta(seconds=1100))
    outbox.acknowledge(Acknowledgement(epoch=outbox.epoch, lane="live", upto=1))
    assert not outbox.fullness().refused
    outbox.close()


def test_a_torn_tail_gives_a_clean_prefix_and_no_seq_twice(path: Path) -> None:
    """Power went while the write-ahead log was being written: what stands before the tear is there, a new epoch begins."""
    outbox = Outbox(path)
    for n in range(20):
        outbox.append(drafts("live", b"%d" % n))
    wal, copy = path.with_name(path.name + "-wal"), path.with_name("copy.sqlite")
    torn = wal.read_bytes()[:-3000]
    copy.write_bytes(path.read_bytes())
    copy.with_name(copy.name + "-wal").write_bytes(torn)
    outbox.close()
    after = Outbox(copy)
    found = keys(after, "live")
    assert 0 < len(found) < 20
    assert [payload for _, _, payload in found] == [b"%d" % n for n in range(len(found))]
    after.append(drafts("live", b"new"))
    assert keys(after, "live")[-1] == (after.epoch, 1, b"new")
    assert after.epoch != outbox.epoch
    after.close()


@pytest.mark.parametrize("damage", ["overwritten", "middle"])
def test_an_unreadable_file_is_moved_aside_and_named(path: Path, damage: str) -> None:
    outbox = Outbox(path)
    outbox.append(drafts("live", *[b"x" * 3000] * 50))
    outbox.close()
    content = path.read_bytes()
    path.write_bytes(
        b"garbage" * 1000 if damage == "overwritten" else content[:8192] + b"\xff" * 16384 + content[24576:]
    )
    again = Outbox(path)
    assert again.set_aside is not None
    assert again.set_aside.exists()
    assert again.is_empty
    again.close()


def test_a_newer_format_is_refused(path: Path) -> None:
    Outbox(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(ConfigurationError, match="format 99"):
        Outbox(path)


def test_two_agents_cannot_share_an_outbox(path: Path) -> None:
    with OutboxLock(path), pytest.raises(ConfigurationError, match="another edge agent"), OutboxLock(path):
        pass
    with OutboxLock(path):
        pass


def test_a_journal_of_nothing_is_a_clear_error(path: Path) -> None:
    with pytest.raises(DomainError, match="no outbox"):
        list(read_journal(path))

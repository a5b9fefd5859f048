"""An outbox survives the upgrade of its agent: one file of every format there ever was is opened by this version.

The files under `outboxes/` were made with the code of their time and are never changed; a new format needs a new file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sidestream_contracts.frame import LANES, payload_hash
from sidestream_contracts.messages import Acknowledgement
from sidestream_edge.measurement import Mark
from sidestream_edge.outbox import Draft, Outbox, waiting_frames
from sidestream_edge.outbox.schema import VERSION

OLD = Path(__file__).parent / "outboxes"
FORMATS = range(1, VERSION + 1)
FIRST, SECOND = "a1" * 16, "b2" * 16
SPOOL_SINCE = 2


def restored(version: int, folder: Path) -> Path:
    path = folder / "outbox.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript((OLD / f"v{version}.sql").read_text(encoding="utf-8"))
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    return path


def stored(outbox: Outbox) -> list[tuple[str, str, int, str | None]]:
    found = [one for lane in LANES for one in outbox.waiting(lane, None, 100)]
    assert all(one.key.hash == payload_hash(one.payload) for one in found)
    return [(one.key.lane, one.key.epoch, one.key.seq, one.key.previous_epoch) for one in found]


def test_there_is_a_file_of_every_format() -> None:
    assert {int(file.stem.removeprefix("v")) for file in OLD.glob("*.sql")} == set(FORMATS)


@pytest.mark.parametrize("version", FORMATS)
def test_what_an_older_agent_left_is_kept_under_its_keys_and_goes_on(version: int, tmp_path: Path) -> None:
    path = restored(version, tmp_path)
    before = waiting_frames(path)
    outbox = Outbox(path)
    assert outbox.set_aside is None
    assert outbox.previous_epoch == SECOND
    spooled = [("bulk", SECOND, 2, FIRST), ("bulk", SECOND, 3, FIRST)] if version >= SPOOL_SINCE else []
    assert stored(outbox) == [
        ("scan", FIRST, 2, None),
        ("live", FIRST, 4, None),
        ("live", FIRST, 5, None),
        ("live", SECOND, 1, FIRST),
        ("live", SECOND, 3, FIRST),
        ("bulk", SECOND, 1, FIRST),
        *spooled,
    ]
    assert before == len(stored(outbox))
    assert (outbox.cursor("rec"), outbox.parked, outbox.packet_limit) == ('{"row": 7}', 1, 20_000)
    assert outbox.marks("mq") == ([Mark("flow", 3, 1_763_000_000_000_000, 1.5)] if version >= SPOOL_SINCE else [])
    outbox.append([Draft("live", "readings", b"new")], {"rec": "8"})
    outbox.spool([Draft("live", "readings", b"newer")], {})
    assert stored(outbox)[5] == ("live", outbox.epoch, 1, SECOND)
    assert len(outbox.acknowledge(Acknowledgement(epoch=SECOND, lane="live", upto=1, also=[(3, 3)])) or []) == 2
    outbox.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    again = Outbox(path)
    assert again.cursor("rec") == "8"
    assert ("live", SECOND, 3, FIRST) not in stored(again)
    again.close()


@pytest.mark.parametrize("version", FORMATS)
def test_an_old_file_that_can_not_be_upgraded_yet_can_be_read_and_sent(
    version: int, tmp_path: Path, monkeypatch
) -> None:
    """The disk is full at the very start of the new version: what is stored goes out under its old keys all the same."""
    path = restored(version, tmp_path)

    def no_room(_: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as full:
        full.setattr("sidestream_edge.outbox.store.upgrade", no_room)
        outbox = Outbox(path)
        assert outbox.unwritable is not None
        assert len(outbox.waiting("live", None, 100)) == 4
        assert outbox.marks("mq") == []
    outbox.tend()
    assert outbox.unwritable is None
    assert len(outbox.waiting("bulk", None, 100)) == (3 if version >= SPOOL_SINCE else 1)
    outbox.close()

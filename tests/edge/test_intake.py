"""What drivers handed over is stored once, whichever step the disk refuses, also while live readings are diverted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidestream_contracts.edge import Framing
from sidestream_contracts.errors import TransientError
from sidestream_edge import intake as module
from sidestream_edge.framing import merged
from sidestream_edge.intake import Intake
from sidestream_edge.measurement import Batch, Mark, Reading
from sidestream_edge.outbox import Outbox


def values(outbox: Outbox) -> list[float]:
    frames = [*outbox.waiting("live", None, 1000), *outbox.waiting("bulk", None, 1000)]
    return sorted(value for frame in frames for value in json.loads(frame.payload)["val"])


def diverting(outbox: Outbox, stored: list[dict[str, str]]) -> Intake:
    one = Intake(Framing(max_readings=1), outbox, stored.append, lambda: None)
    one._diversion.on = True
    return one


def batch(n: int) -> Batch:
    return Batch("d", "live", readings=(Reading("s", n, float(n)),), cursor=str(n), marks=(Mark("s", n, n, float(n)),))


@pytest.mark.parametrize("step", ["spool", "pack"])
def test_a_disk_that_refuses_a_step_doubles_nothing(tmp_path: Path, monkeypatch, step: str) -> None:
    monkeypatch.setattr(module, "PACK_BYTES", 1000)
    monkeypatch.setattr(module, "RETRY_STORE_S", 0.0)
    outbox, stored = Outbox(tmp_path / "outbox.sqlite", merge=merged), []
    one, real, calls = diverting(outbox, stored), getattr(outbox, step), []

    def sometimes(*args: object) -> None:
        calls.append(1)
        if len(calls) % 3 == 1:
            raise TransientError("full")
        real(*args)

    monkeypatch.setattr(outbox, step, sometimes)
    for n in range(1, 41):
        one.add(batch(n))
        one.store()
    one._diversion.on = False
    while outbox.spooled.frames or one.is_stuck:
        one.store()
        one._divert()
    assert values(outbox) == list(range(1, 41))
    assert [int(cursors["d"]) for cursors in stored] == list(range(1, 41))
    assert outbox.marks("d") == [Mark("s", n, n, float(n)) for n in range(1, 41)]
    outbox.close()


def test_what_is_spooled_survives_the_end_and_is_packed_in_its_own_epoch_by_the_next_run(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.sqlite", merge=merged)
    one = diverting(first, [])
    one.add(batch(1))
    one.add(batch(2))
    assert values(first) == []
    assert not first.is_empty
    first.close()
    second = Outbox(tmp_path / "outbox.sqlite", merge=merged)
    (frame,) = second.waiting("bulk", None, 10)
    assert (frame.key.epoch, frame.key.seq) == (first.epoch, 1)
    assert values(second) == [1, 2]
    second.close()


def test_an_older_outbox_is_taken_over_with_all_it_holds(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "outbox.sqlite"
    old = Outbox(path)
    one = Intake(Framing(), old, lambda _: None, lambda: None)
    one.add(batch(1))
    one.finish()
    old.close()
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE spool; DROP TABLE mark; PRAGMA user_version=1;")
    db.close()
    new = Outbox(path)
    assert values(new) == [1]
    assert new.marks("d") == []
    new.close()

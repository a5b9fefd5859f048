"""A full disk, a real one: the outbox starts on it, sends what it holds, says so, and takes readings again when it may."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_rig import edge_file, until

from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import LANES
from sidestream_contracts.messages import Acknowledgement
from sidestream_edge.framing import readings_payload
from sidestream_edge.measurement import Reading
from sidestream_edge.outbox import Draft, Outbox
from sidestream_edge.outbox.ballast import Ballast
from sidestream_edge.outbox.room import Disk, Room


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system can't be mounted here (no root)")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Leaves not one byte free."""
    hog = folder / "hog"
    with hog.open("ab", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return hog


def measured(outbox: Outbox, *values: float) -> None:
    outbox.append([Draft("live", "readings", readings_payload([Reading("s", 1, value)], "live")) for value in values])


@pytest.mark.parametrize("with_ballast", [True, False])
def test_a_full_disk_does_not_keep_what_is_stored_from_being_read_acknowledged_and_followed(
    disk: Path, with_ballast: bool
) -> None:
    path = disk / "outbox.sqlite"
    first = Outbox(path)
    measured(first, *range(50))
    first.close()
    if not with_ballast:
        Ballast(path).drop()
    hog = fill(disk)
    outbox = Outbox(path)
    assert (outbox.unwritable is None) == with_ballast
    assert len(outbox.waiting("live", None, 100)) == 50
    ack = Acknowledgement(epoch=first.epoch, lane="live", upto=50)
    if with_ballast:
        assert len(outbox.acknowledge(ack) or []) == 50
    else:
        with pytest.raises(TransientError, match="free space"):
            measured(outbox, 50)
        hog.unlink()
        outbox.tend()
        assert outbox.unwritable is None
        assert len(outbox.acknowledge(ack) or []) == 50
    measured(outbox, 51)
    (after,) = outbox.waiting("live", None, 100)
    assert (after.key.epoch, after.key.seq, after.key.previous_epoch) == (outbox.epoch, 1, first.epoch)
    outbox.close()


@pytest.mark.server
def test_an_agent_started_on_a_full_disk_sends_what_it_has_and_says_so(mosquitto, hub_on, agent, disk: Path) -> None:
    mosquitto.start()
    hub = hub_on()
    outbox = Outbox(disk / "outbox.sqlite")
    measured(outbox, 1, 2, 3)
    outbox.close()
    Ballast(disk / "outbox.sqlite").drop()
    hog = fill(disk)
    (disk.parent / "scans.txt").write_text("lot-1\n")
    driver = {"id": "gate", "type": "scanner", "source": str(disk.parent / "scans.txt"), "sensor": "gate-qr"}
    agent(edge_file(mosquitto.port, driver, outbox={"path": str(disk / "outbox.sqlite")}))
    until(lambda: sorted(hub.values("s")) == [1, 2, 3], "what was stored")
    until(lambda: any("can't be used now" in text for text in trouble(hub)), "said in the status")
    assert hub.values("gate-qr") == []
    hog.unlink()
    until(lambda: hub.values("gate-qr") == ["lot-1"], "the scan that had to wait")
    until(lambda: not trouble(hub), "all is well")


def trouble(hub) -> list[str]:
    return (hub.statuses[-1].model_extra or {}).get("trouble", []) if hub.statuses else []


def test_the_last_of_the_disk_is_kept_for_scans() -> None:
    now, free = [0.0], [10_000_000_000]
    room = Room(Path(), 1 << 30, lambda _: Disk(100_000_000_000, free[0]), lambda: now[0])
    told = []
    for free_bytes in (64_000_000, 63_000_000, 31_000_000, 0):
        free[0], now[0] = free_bytes, now[0] + 1
        told.append([room.refusal(lane, 0) for lane in LANES])
    assert told == [[None, None, None], [None, None, "disk_low"], [None, *["disk_low"] * 2], [None, *["disk_low"] * 2]]


def test_a_small_disk_keeps_a_part_of_itself() -> None:
    room = Room(Path(), 1 << 30, lambda _: Disk(8_000_000, 500_000))
    assert [room.refusal(lane, 0) for lane in LANES] == [None, None, "disk_low"]

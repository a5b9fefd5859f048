"""The LLRP driver in the reconnect matrix, against a reader in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_rig import free_port
from reconnect_rig import MATRIX, ServerProcess, Subject

pytestmark = pytest.mark.server

READER = """
import asyncio, sys
from sidestream_simulators.rfid_portal import sgtin
from sidestream_simulators.rfid_reader import RfidReader

async def serve():
    reader, n = RfidReader(port=int(sys.argv[1])), 0
    await reader.start()
    print("ready", flush=True)
    while True:  # a new tag again and again, so that there is something to be told
        await asyncio.sleep(0.1)
        n += reader.is_reading
        reader.show(sgtin(n), 1, times=3) if reader.is_reading else None

asyncio.run(serve())
"""


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    port = free_port()
    server = ServerProcess([sys.executable, "-c", READER, str(port)], tmp_path / "reader.log")
    section = {
        "id": "dock", "type": "llrp", "host": "127.0.0.1", "port": port, "timeout_s": 0.3, "keepalive_s": 0.2,
        "smoothing": {"epoch_s": 0.05, "delta": 1e-3, "enter_epochs": 1},
        "places": [{"id": "door", "antennas": [1], "sensor": "door"}],
    }  # fmt: skip
    yield Subject(server, section, tmp_path, "RFID reader dock", tells_outage=False)
    server.kill()


@pytest.mark.parametrize("case", MATRIX)
def test_it_comes_back(case: str, subject: Subject) -> None:
    MATRIX[case](subject)

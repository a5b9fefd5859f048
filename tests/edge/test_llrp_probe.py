"""The probe of an LLRP reader names what it is and what each antenna reads; its draft is an edge.yaml that loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edge_rig import free_port
from llrp_rig import DriverRun, ReaderThread

from sidestream_app.commands.edge_llrp import llrp
from sidestream_app.commands.probed import Draft
from sidestream_contracts.edge import load_edge
from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_simulators.rfid_portal import PortalRead, sgtin

pytestmark = pytest.mark.server
CODE = "urn:epc:id:sgtin:0614141.812345.7"


@pytest.fixture
def reader():
    one = ReaderThread()
    yield one
    one.stop()


def test_a_reader_is_told_with_its_antennas_and_tags_and_the_draft_loads(reader, capsys, tmp_path: Path):
    reader.do(reader.reader.plug(3, connected=False))
    reader.play([PortalRead(0.0, sgtin(7), 1, -48.0 - n) for n in range(4)])
    draft = tmp_path / "edge.yaml"
    where = f"127.0.0.1:{reader.port}"
    assert llrp(where, listen=0.5, draft=Draft(write=draft, hub="h", party="p"), as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["maker"], found["firmware"]) == ("Impinj", "sidestream simulated portal")
    assert [a["connected"] for a in found["antennas"]] == [True, True, False, True]
    assert found["antennas"][0]["tags"] == [{"code": CODE, "reads": 4, "strongest_dbm": -48.0}]
    assert "right" in found["clock"]
    (driver,) = load_edge(draft).drivers
    assert (driver.type, driver.port, driver.antennas) == ("llrp", reader.port, [1, 2, 4])


def test_for_a_person_it_says_the_same_in_words(reader, capsys):
    reader.play([PortalRead(0.0, sgtin(7), 2, -48.0)])
    assert llrp(f"127.0.0.1:{reader.port}", listen=0.3) == 0
    said = capsys.readouterr().out
    assert "antenna 2: connected; 1 tags, 1 reads in 0.3 s" in said
    assert f"  {CODE}  1 reads, strongest -48 dBm" in said


def test_a_reader_that_is_taken_and_one_that_is_not_there_are_named(reader, tmp_path):
    agent = DriverRun(tmp_path, reader.port)
    reader.until_reading()
    with pytest.raises(TransientError, match="is taken: another LLRP client"):
        llrp(f"127.0.0.1:{reader.port}", listen=0.1)
    assert agent.stop()
    with pytest.raises(TransientError, match="can't be reached"):
        llrp(f"127.0.0.1:{free_port()}", listen=0.1)


@pytest.mark.parametrize("host", ["a b", "reader:0", "reader:99999", ""])
def test_what_is_no_host_is_a_configuration_error(host: str):
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        llrp(host)

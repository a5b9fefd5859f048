"""The quarantine commands as an operator types them: list, show, explain, mend, replay, discard."""

from __future__ import annotations

import json
from importlib.resources import files

import psycopg
import pytest
from frames import NOW, NOW_US, key_of, readings_body

from sidestream_app.cli import app
from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.hubcheck import load_hub
from sidestream_contracts.topics import DeviceAddress
from sidestream_ingest.check import check_frame
from sidestream_store.catalogue import device_number, load_catalogue, save_status
from sidestream_store.delivery import apply_frames
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import Partitions
from sidestream_store.quarantine import Message

pytestmark = pytest.mark.server
GATEWAY = DeviceAddress("minimal", "boilerhouse", "gw-boiler")
STRANGER = DeviceAddress("minimal", "greenhouse", "gw-2")


class Bench:
    """A hub.yaml of one's own, its database, and the commands."""

    def __init__(self, dsn, folder, capsys):
        self.dsn, self._capsys = dsn, capsys
        self.file = folder / "hub.yaml"
        self.file.write_bytes((files("sidestream_simulators") / "hubs" / "minimal" / "hub.yaml").read_bytes())
        apply_hub(dsn, load_hub(self.file), folder)
        self.sql = psycopg.connect(dsn, autocommit=True)
        Partitions().ensure(self.sql, [NOW_US])

    def arrive(self, *rows, seq=1, address=GATEWAY):
        payload = readings_body(*rows)
        key = key_of(payload, seq)
        name = f"{address.hub}/{address.party}/{address.device}"
        message = Message(address.topic("readings"), name, payload, NOW, tuple(key.properties()))
        number = device_number(self.sql, address.party, address.device)
        apply_frames(self.sql, [check_frame(message, key, number, load_catalogue(self.sql), lambda s: s)])

    def announce(self, **units):
        sensors = [{"id": name, "driver": "m", "unit": u, "quantity": q} for name, (u, q) in units.items()]
        body = {"state": "online", "epoch": "e", "at": NOW.isoformat(), "sensors": sensors}
        save_status(self.sql, device_number(self.sql, GATEWAY.party, GATEWAY.device), body, NOW)

    def run(self, *words: str):
        """Exit code, stdout and stderr of `sidestream quarantine …`."""
        code = app(["quarantine", *words, "--dsn", self.dsn], result_action="return_value")
        out = self._capsys.readouterr()
        return code, out.out, out.err

    def json(self, *words: str):
        code, out, _ = self.run(*words, "--json")
        return code, json.loads(out)

    def one(self) -> str:
        return str(self.sql.execute("SELECT max(quarantine_id) FROM sidestream.quarantine").fetchone()[0])

    def values(self):
        return self.sql.execute("SELECT value FROM sidestream.reading ORDER BY time, value").fetchall()


@pytest.fixture
def bench(database, tmp_path, capsys):
    found = Bench(database, tmp_path, capsys)
    yield found
    found.sql.close()


def test_an_unknown_sensor_is_listed_explained_mended_and_its_readings_are_there(bench):
    bench.announce(pump=("kW", "power"))
    bench.arrive(("heat-flow", NOW_US, 10.0), ("pump", NOW_US, 4.5), ("pump", NOW_US + 1, 4.75))
    _, listed, _ = bench.run("list")
    assert "unknown_sensor pump" in listed
    number = bench.one()
    assert f"sidestream quarantine explain {number}" in listed
    _, explained, _ = bench.run("explain", number)
    assert "values 4.5, 4.75" in explained
    line = "- {id: pump, device: gw-boiler, name: pump, quantity: power, unit: kW, stream: STREAM}"
    assert line in explained
    assert f"sidestream quarantine mend {number} --hub hub.yaml --set stream=STREAM" in explained
    before = bench.file.read_text()
    code, out, err = bench.run(
        "mend", number, "--hub", str(bench.file), "--set", "stream=heat", "--yes", "--by", "Kari"
    )
    assert (code, "2 readings taken over" in out) == (0, True)
    assert "in the database: + sensors.pump" in err
    added = [line for line in bench.file.read_text().splitlines() if line not in before.splitlines()]
    assert added == ["  - {id: pump, device: gw-boiler, name: pump, quantity: power, unit: kW, stream: heat}"]
    assert bench.values() == [(4.5,), (10.0,), (4.75,)]
    _, shown = bench.json("show", number)
    assert shown["state"] == "replayed"
    assert [(a["author"], a["action"]) for a in shown["actions"]] == [("Kari", "replay"), ("Kari", "mend")]
    assert "Nothing lies in quarantine." in bench.run("list")[1]


def test_an_unknown_device_is_added_and_what_it_sent_is_asked_for_next(bench):
    bench.arrive(("pump", NOW_US, 4.5), address=STRANGER)
    code, found = bench.json("mend", bench.one(), "--hub", str(bench.file), "--yes")
    assert (code, found["mended"]) == (0, "device 'gw-2' added to hub.yaml")
    assert found["outcomes"][0]["left"] == [["unknown_sensor", 1]]
    answers = ("--set", "quantity=power", "--set", "unit=kW", "--set", "node=greenhouse")
    assert bench.json("mend", bench.one(), "--hub", str(bench.file), *answers, "--yes")[1]["readings"] == 1
    assert bench.values() == [(4.5,)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"Nobody has said what these are.*--set quantity=… \(mass_flow.*--set stream=… \(heat\).*node=… \(boiler"),
        (["--set", "strem=heat"], "Did you mean 'stream'"),
        (["--set", "stream"], "must be key=value"),
        (["--set", "stream=haet", "--set", "quantity=power", "--set", "unit=kW"], "did you mean 'heat'"),
        (["--set", "stream=heat", "--set", "quantity=power", "--set", "unit=m3"], "'m3' measures something else"),
    ],
)
def test_a_mend_that_would_not_be_right_changes_nothing_and_says_what_to_give(bench, options, message):
    bench.arrive(("pump", NOW_US, 4.5))
    before = bench.file.read_bytes()
    with pytest.raises(ConfigurationError, match=f"(?s){message}"):
        bench.run("mend", bench.one(), "--hub", str(bench.file), *options, "--yes")
    assert bench.file.read_bytes() == before
    assert [path.name for path in bench.file.parent.iterdir()] == ["hub.yaml"]


def test_a_hub_file_that_can_not_be_applied_is_left_as_it_was(bench):
    bench.arrive(("pump", NOW_US, 4.5))
    bench.file.write_text(bench.file.read_text().replace("id: minimal\n", "id: other\n"))
    before = bench.file.read_bytes()
    options = ("--set", "stream=heat", "--set", "quantity=power", "--set", "unit=kW", "--yes")
    with pytest.raises(ConfigurationError, match="belongs to hub 'minimal'"):
        bench.run("mend", bench.one(), "--hub", str(bench.file), *options)
    assert bench.file.read_bytes() == before


def test_what_is_left_of_a_mended_entry_is_counted_among_the_open_ones(bench):
    bench.arrive(("pump", NOW_US, 4.5), address=STRANGER)
    _, out, _ = bench.run("mend", bench.one(), "--hub", str(bench.file), "--yes")
    assert "0 entries stay and 1 new one is open" in out


def test_what_hub_yaml_can_not_mend_is_told_with_what_to_do(bench):
    bench.arrive(("heat-flow", NOW_US, "12,5"))
    with pytest.raises(DomainError, match=r"does not mend 'not_a_number'.*Mend the driver"):
        bench.run("mend", bench.one(), "--hub", str(bench.file), "--yes")
    code, out, _ = bench.run("replay", "--all-open")
    assert (code, "1 entry stays open" in out) == (1, True)
    _, shown, _ = bench.run("show", bench.one())
    assert "'12,5'" in shown
    assert "2026-11-22T12:00:00Z" in shown


def test_no_replay_is_offered_for_what_no_change_of_the_hub_makes_usable(bench):
    bench.arrive(("heat-flow", NOW_US, "12,5"))
    _, found = bench.json("explain", bench.one())
    assert [command.split()[2] for command in found["commands"]] == ["show", "discard"]


def test_times_are_told_in_the_hubs_zone_and_in_utc(bench):
    bench.arrive(("pump", NOW_US, 4.5))
    for words in (("list",), ("show", bench.one())):
        _, out, _ = bench.run(*words)
        assert "2026-11-22 13:00:00+01:00 (12:00:00Z)" in out


@pytest.mark.parametrize("command", ["list", "replay"])
def test_a_reason_typed_wrong_is_told_with_the_one_that_was_meant(bench, command):
    with pytest.raises(ConfigurationError, match="did you mean 'unknown_sensor'"):
        bench.run(command, "--reason", "unknow_sensor")


def test_a_discard_needs_why_and_who_and_then_the_list_of_what_is_open_is_empty(bench):
    bench.arrive(("heat-flow", NOW_US, "12,5"))
    number = bench.one()
    code, found = bench.json("discard", number, "--reason", "test message", "--by", "Ola")
    assert (code, found["outcomes"][0]["state"]) == (0, "discarded")
    assert bench.json("list")[1] == {"groups": []}
    assert "discarded by Ola" in bench.run("explain", number)[1]
    with pytest.raises(DomainError, match="Not open"):
        bench.run("discard", number, "--reason", "again", "--by", "Ola")
    with pytest.raises(ConfigurationError, match="Say which entries"):
        bench.run("replay")


def test_bytes_that_are_no_text_are_shown_in_hex_and_can_not_steer_the_terminal(bench):
    for n, raw in enumerate((b"\xff\xfe\x00", b'{"\x1b[2J')):
        properties = (("epoch", "\x1b]0;x"), ("seq", str(n)))
        entry = Message("t\x1b", "minimal/boilerhouse/gw-boiler", raw, NOW, properties).quarantined(
            "not_json", "Bad.", 0
        )
        apply_frames(bench.sql, [], [entry])
        _, shown, _ = bench.run("show", bench.one())
        assert "not text; in hex" in shown
        assert "\x1b" not in shown
        assert raw.hex(" ") in shown
    with pytest.raises(DomainError, match="no entry #999"):
        bench.run("show", "999")


def test_a_unit_spelled_as_the_vendor_does_is_mapped_and_its_readings_are_there(bench):
    bench.announce(**{"heat-flow": ("l/min", "volume_flow"), "heat-ts": ("°C", "temperature")})
    bench.arrive(("heat-flow", NOW_US, 100.0), ("heat-ts", NOW_US, 80.0))
    for _ in range(2):
        number = bench.one() if bench.values() else str(int(bench.one()) - 1)
        assert bench.json("mend", number, "--hub", str(bench.file), "--yes")[1]["readings"] == 1
    assert bench.values() == [(6.0,), (80.0,)]
    text = bench.file.read_text()
    assert "unit: m3/h, sent_unit: l/min, role" in text
    assert "unit: Cel, sent_unit: Cel, role: supply" in text

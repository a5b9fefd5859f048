"""The pure parts of the OPC UA driver: values, states, units, node names, keys, gaps, sentences."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from asyncua import ua
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

import sidestream_edge.drivers
from sidestream_app.commands.edge_opcua import certificate
from sidestream_contracts.edge_opcua import OpcUaDriver, OpcUaSensor, path_names
from sidestream_contracts.errors import ConfigurationError, ContractError, TransientError
from sidestream_edge.drivers.opcua import status, words
from sidestream_edge.drivers.opcua.gaps import Gap
from sidestream_edge.drivers.opcua.keys import KeyFolder
from sidestream_edge.drivers.opcua.nodes import Address, path_text, portable
from sidestream_edge.drivers.opcua.unconfirmed import Unconfirmed
from sidestream_edge.drivers.opcua.units import UNECE, common_code, compare, server_unit
from sidestream_edge.drivers.opcua.values import take

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_US = 1_795_348_800_000_000
SENSOR = OpcUaSensor(id="x", path="A", scale=2, offset=1)
BAD, UNCERTAIN = 0x80000000, 0x40000000


def value(raw: object = 1.5, kind: ua.VariantType = ua.VariantType.Double, *, code: int = 0, source: datetime | None = NOW,
          server: datetime | None = NOW) -> ua.DataValue:  # fmt: skip
    return ua.DataValue(ua.Variant(raw, kind), ua.StatusCode(code), SourceTimestamp=source, ServerTimestamp=server)


@given(st.integers(0, 2**32 - 1))
def test_every_status_code_has_a_quality_a_name_and_words(code: int) -> None:
    assert status.quality(code) == {0: 0, 1: 1}.get(code >> 30, 2)
    assert status.name(code)
    assert status.words(code)


def test_flags_of_a_status_hide_neither_its_name_nor_an_overflow() -> None:
    assert status.name(0x80D50480) == status.name(0x80D50000)
    assert status.overflowed(0x00000480)
    assert not status.overflowed(0x00000080)
    assert status.words(0x808C0000).startswith("BadSensorFailure: ")


@pytest.mark.parametrize(
    ("raw", "kind", "number"),
    [(True, "Boolean", 3), (-128, "SByte", -255), (2**63, "UInt64", 2.0**64 + 1), (-(2**63), "Int64", -(2.0**64) + 1), (0.5, "Float", 2)],
)  # fmt: skip
def test_all_numeric_types_become_numbers(raw: object, kind: str, number: float) -> None:
    assert take(SENSOR, value(raw, ua.VariantType[kind]), NOW_US).reading == ("x", NOW_US, number, 0)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15))
def test_a_decimal_is_read_as_it_was_written(number: Decimal) -> None:
    unscaled = int(number.scaleb(4))
    body = (4).to_bytes(2, "little", signed=True) + unscaled.to_bytes(16, "little", signed=True)
    coded = ua.ExtensionObject(TypeId=ua.NodeId(50), Body=body)
    taken = take(OpcUaSensor(id="x", path="A"), value(coded, ua.VariantType.ExtensionObject), NOW_US)
    assert taken.reading.val == float(number)


@pytest.mark.parametrize(
    ("raw", "kind", "reason", "says"),
    [([1.0, 2.0], "Double", "array", "an array of 2 Double"), ("hot", "String", "not_a_number", "its type is String"),
     (NOW, "DateTime", "not_a_number", "DateTime"), (1e300, "Double", "out_of_range", "1e30"),
     (ua.EUInformation(), "ExtensionObject", "not_a_number", "the structure EUInformation")],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_its_type(raw: object, kind: str, reason: str, says: str) -> None:
    with pytest.raises(ContractError, match=says) as told:
        take(SENSOR, value(raw, ua.VariantType[kind]), NOW_US)
    assert told.value.reason == reason


def test_states_and_missing_values_are_kept_and_never_hidden() -> None:
    assert take(SENSOR, value(code=BAD | 0x8C0000), NOW_US).reading == ("x", NOW_US, None, 2)
    assert take(SENSOR, value(code=UNCERTAIN), NOW_US).reading == ("x", NOW_US, 4, 1)
    assert take(SENSOR, value(None, ua.VariantType.Null), NOW_US).reading[2:] == (None, 2)
    for odd in (math.nan, math.inf):
        assert take(SENSOR, value(odd), NOW_US).reading[2:] == (None, 2)


@pytest.mark.parametrize(
    "source", [None, datetime(1601, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(days=400)]
)
def test_without_a_source_time_that_can_be_the_servers_is_taken_and_doubted(source: datetime | None) -> None:
    taken = take(SENSOR, value(source=source, server=NOW - timedelta(seconds=1)), NOW_US)
    assert taken.reading == ("x", NOW_US - 1_000_000, 4, 1)
    assert "the server's time is taken" in (taken.doubt or "")
    assert take(SENSOR, value(source=source, server=None), NOW_US).reading == ("x", NOW_US, 4, 1)


@given(st.datetimes(datetime(2001, 1, 1), datetime(2026, 11, 22)))  # noqa: DTZ001
def test_source_times_are_kept_to_the_microsecond(at: datetime) -> None:
    since = at - datetime(1970, 1, 1)  # noqa: DTZ001
    expected = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    assert take(SENSOR, value(source=at.replace(tzinfo=UTC)), NOW_US).reading.t == expected


@pytest.mark.parametrize(
    ("unit_id", "shown", "configured", "match"),
    [(0x4D5148, "", "m3/h", "same"), (0x4D5148, "m³/h", "L/h", "other"), (0x43454C, "°C", "Cel", "same"),
     (0x4B5754, "kW", "W", "other"), (0x4C5452, "l", "dm3", "same"), (-1, "kWh", "kW.h", "same"), (-1, "Furlong", "m", "unknown")],
)  # fmt: skip
def test_units_are_compared_by_code_or_name(unit_id: int, shown: str, configured: str, match: str) -> None:
    unit = server_unit(UNECE, unit_id, shown)
    assert unit is not None
    assert compare(configured, unit) == match


@given(st.integers(1, 2**31 - 1))
def test_any_unit_id_is_a_common_code_or_none(unit_id: int) -> None:
    code = common_code(unit_id)
    assert code is None or (2 <= len(code) <= 3 and int.from_bytes(code.encode(), "big") == unit_id)


def test_a_node_is_found_by_uri_whatever_its_index_is_today() -> None:
    uri = "urn:plant;100%"
    before, after = ["http://opcfoundation.org/UA/", uri], ["http://opcfoundation.org/UA/", "urn:new", uri]
    named = portable("ns=1;s=A;b=c", before)
    assert Address.parse(named).text(before) == "ns=1;s=A;b=c"
    assert Address.parse(named).text(after) == "ns=2;s=A;b=c"
    assert Address.parse("ns=1;i=7").fixed(before).text(after) == "ns=2;i=7"
    assert portable("i=2258", before) == "i=2258"
    with pytest.raises(ContractError, match=r"no namespace 'urn:plan'; did you mean"):
        Address.parse("nsu=urn:plan;i=1").text(["urn:plant"])
    with pytest.raises(ContractError, match="none of index 9"):
        Address.parse("ns=9;i=1").text(before)


@given(st.lists(st.text(min_size=1), min_size=1).filter(lambda names: names[0] != "Objects"))
def test_a_path_is_read_as_it_was_written_whatever_the_names_hold(names: list[str]) -> None:
    assert path_names(path_text(names)) == names


def test_a_server_is_trusted_only_by_a_file_that_somebody_put_there(tmp_path: Path) -> None:
    mine, other = KeyFolder(tmp_path / "a", "urn:a"), KeyFolder(tmp_path / "b", "urn:b")
    own = mine.own()
    assert mine.own() == own
    assert own.uri == "urn:a"
    theirs = x509.load_der_x509_certificate(other.own().certificate.read_bytes())
    with pytest.raises(TransientError, match="SHA-1 thumbprint") as told:
        mine.check(theirs, "OPC UA server plc")
    (kept,) = (tmp_path / "a" / "rejected").iterdir()
    assert str(kept) in str(told.value)
    kept.rename(tmp_path / "a" / "trusted" / kept.name)
    mine.check(theirs, "OPC UA server plc")
    own.key.write_text("no key")
    with pytest.raises(ConfigurationError, match="Move both away"):
        mine.own()


def test_messages_are_confirmed_once_and_only_when_durable() -> None:
    line = Unconfirmed(None)
    line.heard_us = 5
    cursors = [line.cursor(number) for number in (7, None, 8)]
    assert line.durable(None) == []
    assert line.durable(cursors[0]) == [7]
    assert line.durable(cursors[1]) == []
    assert line.durable(cursors[2]) == [8]
    assert line.durable(cursors[2]) == []
    assert Unconfirmed(cursors[2]).heard_us == 5


def test_a_gap_is_told_with_its_ends() -> None:
    assert Gap.since(None, NOW_US) is None
    assert Gap.since(NOW_US - 500_000, NOW_US) is None
    gap = Gap.since(NOW_US - 300_000_000, NOW_US)
    assert gap is not None
    assert gap.words == "from 2026-11-22 11:55:00Z to 2026-11-22 12:00:00Z (300 s)"


@pytest.mark.parametrize(
    ("error", "says"),
    [(ConnectionRefusedError(), "nothing listens on port 4840"), (TimeoutError(), "does not answer"), (OSError(104, "reset"), "is gone: reset"),
     (ua.UaStatusCodeError(ua.StatusCodes.BadUserAccessDenied), "does not let a user without a name in"),
     (ua.UaStatusCodeError(ua.StatusCodes.BadTooManySessions), "takes no further client"),
     (ua.UaStatusCodeError(ua.StatusCodes.BadTcpEndpointUrlInvalid), "edge probe opcua"),
     (ua.UaStatusCodeError(ua.StatusCodes.BadShutdown), "answered BadShutdown"), (ValueError("odd"), "can't be understood")],
)  # fmt: skip
def test_every_failure_names_device_cause_and_what_to_do(error: Exception, says: str) -> None:
    config = OpcUaDriver.model_validate(
        {"id": "plc", "type": "opcua", "url": "opc.tcp://a", "sensors": [{"id": "x", "path": "A"}]}
    )
    text = words.explain(error, "OPC UA server plc (opc.tcp://a)", config, None)
    assert text.startswith("OPC UA server plc (opc.tcp://a) ")
    assert says in text


def told(**changed: object) -> str:
    section = {"id": "plc", "type": "opcua", "url": "opc.tcp://a", "sensors": [{"id": "x", "path": "A"}], **changed}
    return " ".join(problem.message for problem in OpcUaDriver.model_validate(section).problems(0))


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"url": "http://a"}, "opc.tcp://host:4840"), ({"url": "opc.tcp://me:secret@a"}, "ends up in logs"), ({"password": "x"}, "needs a `user`"),
     ({"sensors": [{"id": "x"}]}, "either `node` or `path`"), ({"sensors": [{"id": "x", "node": "Line1.Flow"}]}, "is no node id"),
     ({"sensors": [{"id": "x", "path": "A//B"}]}, "an empty name"), ({"sensors": [{"id": "x", "path": "A", "scale": 0}]}, "scale 0"),
     ({"sensors": [{"id": "x", "path": "A"}, {"id": "y", "path": "A"}]}, "already sensor 'x'"),
     ({"sensors": [{"id": "x", "path": "A", "deadband": 1, "deadband_pct": 1}]}, "exclude each other"), ({}, "")],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_before_anything_connects(changed: dict, says: str) -> None:
    assert says in told(**changed)
    assert bool(told(**changed)) == bool(says)


def test_the_command_shows_the_certificate_that_a_server_must_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "edge.yaml"
    head = "version: 1\nhub: h\nparty: p\ndevice: gw\nbroker: {host: 127.0.0.1}\ndrivers:\n"
    driver = "  - {id: plc, type: opcua, url: opc.tcp://a, sensors: [{id: x, path: A}]%s}\n"
    file.write_text(head + driver % "")
    with pytest.raises(ConfigurationError, match="no certificate is needed"):
        certificate(file)
    file.write_text(head + driver % ", security: {mode: Sign}")
    assert certificate(file, as_json=True) == 0
    (told_,) = json.loads(capsys.readouterr().out)["certificates"]
    assert told_["application_uri"] == "urn:sidestream:h:p:gw"
    assert (tmp_path / "opcua" / "own.der").read_bytes()
    assert certificate(file) == 0
    assert told_["thumbprint"] in capsys.readouterr().out


def test_an_agent_that_only_builds_the_driver_does_not_pay_for_the_library() -> None:
    sample = Path(sidestream_edge.drivers.__file__).parent / "opcua" / "sample.yaml"
    code = (
        "import sys; from pathlib import Path; from sidestream_contracts.edge import load_edge;"
        "from sidestream_edge.drivers import build; edge = load_edge(Path(sys.argv[1]));"
        "build(edge.drivers[0], Path('.'), edge); sys.exit('asyncua' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(sample)], check=True)

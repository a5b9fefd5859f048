"""No value is ever given to the wrong metric, whatever is lost, repeated or dies; and each becomes one reading at most."""

from __future__ import annotations

import contextlib
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_brokers import SparkplugSensor
from sidestream_contracts.errors import ContractError
from sidestream_contracts.ids import ID_PATTERN
from sidestream_edge.drivers.sparkplug import wire
from sidestream_edge.drivers.sparkplug.draft import draft, proposed_id
from sidestream_edge.drivers.sparkplug.node import Key, Node, Update
from sidestream_edge.drivers.sparkplug.readings import reading
from sidestream_edge.drivers.sparkplug.rebirths import Rebirths
from sidestream_edge.drivers.sparkplug.wire import Metric, Payload
from sidestream_edge.marks import Marks
from sidestream_edge.measurement import Reading

KEYS: list[Key] = [(None, "load"), ("d1", "temp"), ("d1", "flow"), ("d2", "temp")]
DOUBLE = 10


class Publisher:
    """A true edge node: aliases are dealt anew at each birth; every value is unique and says whose it is."""

    def __init__(self) -> None:
        self.seq = self.bdseq = self.count = 0
        self.alias: dict[Key, int] = {}
        self.sent: dict[float, Key] = {}

    def value(self, key: Key) -> float:
        self.count += 1
        self.sent[float(self.count)] = key
        return float(self.count)

    def payload(self, *metrics: Metric, first: bool = False) -> Payload:
        self.seq = 0 if first else (self.seq + 1) % 256
        return Payload(self.count, self.seq, metrics)

    def birth(self, order: list[int]) -> list[tuple[str, str | None, Payload]]:
        self.alias = dict(zip(KEYS, order, strict=True))
        bdseq = Metric("bdSeq", None, None, 4, self.bdseq)
        node = self.payload(bdseq, *self._born(None), first=True)
        return [("NBIRTH", None, node), *[("DBIRTH", d, self.payload(*self._born(d))) for d in ("d1", "d2")]]

    def _born(self, device: str | None) -> list[Metric]:
        return [
            Metric(name, self.alias[where, name], None, DOUBLE, self.value((where, name)))
            for where, name in KEYS
            if where == device
        ]

    def data(self, key: Key) -> tuple[str, str | None, Payload]:
        metric = Metric(None, self.alias[key], None, None, self.value(key))
        return ("NDATA" if key[0] is None else "DDATA", key[0], self.payload(metric))

    def death(self) -> tuple[str, str | None, Payload]:
        dead = Payload(None, None, (Metric("bdSeq", None, None, 4, self.bdseq),))
        self.bdseq += 1
        return ("NDEATH", None, dead)


STEPS = st.one_of(
    st.tuples(st.just("data"), st.sampled_from(KEYS), st.sampled_from(["sent", "lost", "twice"])),
    st.tuples(st.just("session"), st.permutations([1, 2, 3, 4]), st.lists(st.booleans(), min_size=3, max_size=3)),
    st.tuples(st.just("rebirth"), st.permutations([1, 2, 3, 4]), st.lists(st.booleans(), min_size=2, max_size=2)),
    st.tuples(st.just("device"), st.sampled_from(["d1", "d2"]), st.booleans()),
)


@given(st.lists(STEPS, max_size=40))
def test_no_value_reaches_a_wrong_metric_and_each_becomes_one_reading_at_most(steps: list) -> None:
    publisher, node, marks = Publisher(), Node(), Marks()
    got: list[tuple[Key, float]] = []

    def deliver(message: tuple, *, arrives: bool = True, times: int = 1) -> None:
        for _ in range(times if arrives else 0):
            updates = node.take(*message).updates
            fresh, kept = marks.fresh(
                Reading(f"{u.key}", u.time_ms or 0, float(u.metric.raw or 0)) for u in updates if u.key in KEYS
            )
            marks.keep(kept)
            taken = {(one.sensor, one.val) for one in fresh}
            got.extend((u.key, u.metric.raw) for u in updates if (f"{u.key}", u.metric.raw) in taken)  # type: ignore[misc]

    for message in publisher.birth([1, 2, 3, 4]):
        deliver(message)
    for what, which, how in steps:
        if what == "data":
            deliver(publisher.data(which), arrives=how != "lost", times=2 if how == "twice" else 1)
        elif what == "session":  # the old session's will is sent by the broker; the new one's births may be lost
            deliver(publisher.death())
            for message, arrives in zip(publisher.birth(which), how, strict=True):
                deliver(message, arrives=arrives)
        elif what == "rebirth":
            first, *rest = publisher.birth(which)
            deliver(first)
            for message, arrives in zip(rest, how, strict=True):
                deliver(message, arrives=arrives)
        else:
            deliver(("DDEATH", which, publisher.payload()), arrives=how)
            deliver(("DBIRTH", which, publisher.payload(*publisher._born(which))))
    assert all(publisher.sent[value] == key for key, value in got)
    assert all(count == 1 for count in Counter(value for _, value in got).values())


@given(st.lists(st.sampled_from(KEYS), min_size=1, max_size=20))
def test_on_a_good_line_every_value_is_taken(keys: list[Key]) -> None:
    publisher, node = Publisher(), Node()
    updates = [u for message in publisher.birth([4, 3, 2, 1]) for u in node.take(*message).updates]
    updates += [u for key in keys for u in node.take(*publisher.data(key)).updates]
    assert [publisher.sent[u.metric.raw] for u in updates] == [u.key for u in updates]  # type: ignore[index]
    assert len(updates) == len(keys) + len(KEYS)
    assert node.doubt is None


def test_after_a_gap_aliases_are_not_believed_until_the_next_birth_but_names_are() -> None:
    publisher, node = Publisher(), Node()
    for message in publisher.birth([1, 2, 3, 4]):
        node.take(*message)
    publisher.data(KEYS[0])
    assert node.take(*publisher.data(KEYS[0])).unattributed == 1
    assert "is missing" in (node.doubt or "")
    named = node.take("NDATA", None, publisher.payload(Metric("load", 1, None, None, 7.0)))
    assert [u.key for u in named.updates] == [(None, "load")]
    for message in publisher.birth([2, 1, 3, 4]):
        node.take(*message)
    assert [u.key for u in node.take(*publisher.data(KEYS[0])).updates] == [KEYS[0]]


def test_a_death_of_an_earlier_session_kills_nobody() -> None:
    publisher, node = Publisher(), Node()
    old = publisher.death()
    for message in publisher.birth([1, 2, 3, 4]):
        node.take(*message)
    assert not node.take(*old).dead
    assert node.online
    assert node.take(*publisher.death()).dead
    assert not node.online


@pytest.mark.parametrize(
    ("datatype", "raw", "value"),
    [(1, 0xFFFFFFFF, -1), (2, 0xFFFE, -2), (3, 0xFFFFFFFD, -3), (4, 2**64 - 4, -4), (7, 4e9, 4e9), (8, 2**63, 2**63),
     (9, 1.5, 1.5), (11, True, 1), (5, 255, 255)],
)  # fmt: skip
def test_numbers_are_read_by_their_data_type(datatype: int, raw: float, value: float) -> None:
    assert wire.number(raw, datatype) == value


@pytest.mark.parametrize(("datatype", "name"), [(12, "String"), (16, "DataSet"), (19, "Template"), (22, "array")])
def test_what_is_no_number_is_refused_by_the_name_of_its_type(datatype: int, name: str) -> None:
    with pytest.raises(ContractError, match=name):
        wire.number(None, datatype)


@given(st.binary(max_size=100))
def test_bytes_that_are_no_payload_are_a_contract_error(data: bytes) -> None:
    with contextlib.suppress(ContractError):
        assert isinstance(wire.decode(data), Payload)


def test_the_rebirth_command_reads_as_it_was_meant() -> None:
    (metric,) = wire.decode(wire.rebirth_command(5)).metrics
    assert (metric.name, metric.raw, metric.datatype, metric.time_ms) == (wire.REBIRTH, True, 11, 5)


def test_null_quality_and_times_are_kept() -> None:
    sensor = SparkplugSensor(id="x", node="n", metric="m", scale=2)
    now_us = 1_795_348_800_000_000

    def read(time_ms: int | None = 1_795_348_700_000, **how: object) -> Reading:
        metric = Metric("m", None, None, DOUBLE, **{"raw": 1.5, **how})  # type: ignore[arg-type]
        return reading(sensor, Update((None, "m"), metric, DOUBLE, time_ms), now_us)

    assert read() == ("x", 1_795_348_700_000_000, 3.0, 0)
    assert read(is_null=True, raw=None) == ("x", 1_795_348_700_000_000, None, 2)
    assert [read(quality_code=code).q for code in (192, 64, 0, 500)] == [0, 1, 2, 2]
    assert read(time_ms=None) == ("x", now_us, 3.0, 1)
    with pytest.raises(ContractError, match="before 2000"):
        read(time_ms=0)


def test_a_node_is_asked_at_once_then_ever_more_rarely_until_it_is_born() -> None:
    rebirths = Rebirths()
    asked = [t for t in range(100) if rebirths.may_ask("n", float(t))]
    assert asked == [0, 5, 15, 35, 75]
    rebirths.born("n")
    assert [t for t in range(100, 200) if rebirths.may_ask("n", float(t))] == [155, 160, 170, 190]


@given(st.none() | st.text(max_size=40), st.text(min_size=1, max_size=60))
def test_a_proposed_id_is_an_id(device: str | None, name: str) -> None:
    assert re.match(ID_PATTERN, proposed_id(device, name))


def test_what_is_not_mapped_is_offered_ready_to_paste() -> None:
    text = draft("N1", [(("D 1", "Inputs/Temp"), Metric("Inputs/Temp", 1, None, 9, 1.0, unit="Cel")),
                        (("D 1", "Name"), Metric("Name", 2, None, 12, "x"))])  # fmt: skip
    assert '- {id: "d-1-inputs-temp", node: "N1", device: "D 1", metric: "Inputs/Temp", unit: "Cel"}' in text
    assert "1 of them no numbers" in text

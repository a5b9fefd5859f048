"""Whatever a device sends: nothing raises, good neighbours land once, and each bad message is explained and answered."""

from __future__ import annotations

import copy
import json
import random
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream_app.chaos import plant
from sidestream_app.chaos.bodies import body, readings
from sidestream_app.chaos.fuzz import Fuzzer
from sidestream_app.chaos.mutate import (
    BODY_MUTATIONS,
    BYTE_MUTATIONS,
    NAMES,
    ODDITIES,
    WIRE_MUTATIONS,
    mutated,
    on_wire,
)
from sidestream_contracts.frame import payload_hash
from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import load_hub
from sidestream_ingest.unknown import MOST_LEVELS, TOO_DEEP, storable_fields
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range

NOW_US = time.time_ns() // 1000
ADDRESS = plant.address(plant.EXTRA)
ROWS = [(sensor, NOW_US + n, float(n)) for n, sensor in enumerate(plant.EXTRA_SENSORS[:4])]


@pytest.fixture
def hub(database, tmp_path) -> str:
    """The DSN of a database with the chaos hub."""
    path = plant.write(tmp_path / "hub.yaml", plant.hub_yaml())
    hub_file: HubFile = load_hub(path)
    apply_hub(database, hub_file, tmp_path)
    return database


@pytest.mark.server
@pytest.mark.timeout(240)
def test_thousands_of_bad_messages_cost_no_neighbour_and_each_is_answered_and_explained(hub):
    fuzzer = Fuzzer(hub, seed=7)
    fuzzer.run(3_000)
    neighbours = fuzzer.neighbours()
    assert neighbours.sent > 2_000
    assert (neighbours.lost, neighbours.doubled) == (0, 0)
    assert len(fuzzer.owed) > 1_500
    assert not fuzzer.unanswered()
    assert not [(entry.reason, entry.detail) for entry in fuzzer.unexplained()]
    assert len(fuzzer.reasons()) > 15


CELL = st.sampled_from(ODDITIES).map(copy.deepcopy) | st.integers() | st.floats() | st.text(max_size=8) | st.none()
NESTED = st.recursive(
    CELL,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DRAWS = st.randoms(use_true_random=False)


@st.composite
def frames(draw) -> bytes:
    """A good frame with any of its places replaced, or a good frame broken by one of the mutations."""
    if draw(st.booleans()):
        found = body(ROWS)
        for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)):
            column = found.get(name)
            if isinstance(column, list) and column and draw(st.booleans()):
                column[draw(st.integers(0, len(column) - 1))] = draw(NESTED)
            else:
                found[name] = draw(NESTED)
        found |= draw(st.dictionaries(st.text(max_size=4), NESTED, max_size=2))
        return json.dumps(found).encode()
    return draw(st.sampled_from(BYTE_MUTATIONS))(draw(DRAWS), readings(ROWS))


@pytest.mark.server
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(frames(), min_size=1, max_size=40))
def test_any_batch_of_broken_frames_is_acknowledged_in_full_and_harms_nobody(hub, payloads):
    fuzzer = Fuzzer(hub, seed=0)
    good = [on_wire(ADDRESS, readings(ROWS), fuzzer.good_epoch, n + 1) for n in range(3)]
    bad = [on_wire(ADDRESS, payload, fuzzer.bad_epoch, n + 1) for n, payload in enumerate(payloads)]
    fuzzer.good, fuzzer.owed = ROWS * 3, list(range(1, len(bad) + 1))
    mixed = [*bad, *good]
    random.Random(len(bad)).shuffle(mixed)
    fuzzer.send(mixed)
    assert (fuzzer.neighbours().lost, fuzzer.neighbours().doubled) == (0, 0)
    assert not fuzzer.unanswered()
    assert not [(entry.reason, entry.detail) for entry in fuzzer.unexplained()]


@given(DRAWS, st.sampled_from(BODY_MUTATIONS))
def test_every_mutation_of_a_body_leaves_something_that_can_be_sent(draw, mutation):
    found = body(ROWS)
    mutation(draw, found)
    assert json.dumps(found)


@given(DRAWS, st.sampled_from(WIRE_MUTATIONS))
def test_an_answer_is_owed_only_where_topic_key_and_bytes_can_be_read(draw, mutation):
    sent = mutation(draw, on_wire(ADDRESS, readings(ROWS), "a" * 32, 1))
    if sent.must_be_answered:
        assert dict(sent.pairs)["hash"] == payload_hash(sent.payload)


def test_the_same_seed_makes_the_same_messages():
    def some(seed: int) -> list:
        draw = random.Random(seed)
        return [mutated(draw, body(ROWS), ADDRESS, "a" * 32, n) for n in range(1, 50)]

    assert some(3) == some(3)
    assert some(3) != some(4)


@given(st.dictionaries(st.text(max_size=5), NESTED, max_size=4))
def test_unknown_fields_are_kept_in_a_form_that_json_and_postgresql_know(fields):
    kept = storable_fields(fields)
    text = json.dumps(kept, allow_nan=False)
    assert "\\u0000" not in json.dumps(json.loads(text), ensure_ascii=False).replace("\\\\", "")
    assert len(kept or {}) <= len(fields)
    text.encode("utf-8")


def test_an_unknown_field_nested_too_deeply_becomes_a_remark():
    deep: list = []
    for _ in range(MOST_LEVELS + 5):
        deep = [deep]
    assert TOO_DEEP in json.dumps(storable_fields({"note": deep, "fine": {"a": [1, "b"]}}))


@pytest.mark.server
def test_two_workers_that_need_the_same_partition_at_once_both_get_it(hub, connect):
    from datetime import UTC, datetime, timedelta

    start, failures = threading.Barrier(2), []

    def work() -> None:
        connection = connect()
        for week in range(40):
            at = datetime(2020, 1, 6, tzinfo=UTC) + timedelta(weeks=week)
            start.wait(10)
            try:
                ensure_range(connection, at, at + timedelta(days=6))
            except Exception as error:  # noqa: BLE001 - whatever it is, the test names it
                failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures

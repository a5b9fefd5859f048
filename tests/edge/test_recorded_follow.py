"""A CSV that is being written is followed: each row once, whatever happens to the file, and nothing of half a line."""

from __future__ import annotations

import csv
import io
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from edge_rig import AgentProcess, edge_file, until
from hypothesis import given
from hypothesis import strategies as st

from sidestream_edge.drivers.position import Position
from sidestream_edge.drivers.recorded.records import MOST_BYTES, whole_records


def followed(**changes: object) -> dict:
    return {
        "id": "log", "type": "recorded", "file": "log.csv", "time_column": "time", "time_format": "epoch_s",
        "follow": True, "sensors": [{"id": "e", "column": "kwh"}], **changes,
    }  # fmt: skip


def add(path: Path, text: str) -> None:
    with path.open("a") as out:
        out.write(text)


CELLS = st.lists(st.lists(st.text('ab,"\n é1', max_size=6), min_size=2, max_size=2), max_size=8)


@given(CELLS, st.data())
def test_records_are_those_of_the_csv_module_however_much_of_them_is_there(
    rows: list[list[str]], data: st.DataObject
) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    whole = out.getvalue().encode()
    n = data.draw(st.integers(0, len(whole)))
    found = whole_records(whole[:n])
    assert [record.cells(",") for record in found] == rows[: len(found)]
    begun = sum(len(record.raw) for record in found)
    assert whole_records(whole[begun:])[: len(rows) - len(found)] == whole_records(whole)[len(found) :]


def test_a_quote_that_is_never_closed_costs_its_line_and_no_more() -> None:
    text = b'1,"open\n' + b"2,3\n" * 20_000
    found = whole_records(text)
    assert found[0].raw == b'1,"open\n'
    assert sum(len(record.raw) for record in found) == len(text)
    assert whole_records(text[:MOST_BYTES]) == []


@pytest.mark.server
def test_what_is_appended_arrives_and_half_a_line_waits_for_its_rest(tmp_path, run_driver):
    file = tmp_path / "log.csv"
    rig = run_driver(followed())
    rig.said("there is no file")
    file.write_text("time,kw")
    rig.said("no header line yet")
    add(file, "h\n1,10\n2,")
    until(lambda: rig.values("e") == [10.0], "the first row")
    add(file, "2")
    time.sleep(0.6)
    assert rig.values("e") == [10.0], "half a number is no number"
    add(file, '0\n3,"3\n')
    until(lambda: rig.values("e") == [10.0, 20.0], "the rest")
    add(file, '0"\nsoon,1\n4,40\n')
    until(lambda: 40.0 in rig.values("e"), "behind a bad row")
    assert rig.values("e")[2:] == [None, 40.0]
    assert "log.csv:6" in rig.said("soon")
    assert {batch.clock for batch in rig.batches} == {"recorded"}


@pytest.mark.server
def test_a_renamed_file_is_finished_first_and_half_its_last_line_is_said(tmp_path, run_driver):
    file = tmp_path / "log.csv"
    file.write_text("time,kwh\n1,1\n")
    rig = run_driver(followed())
    until(lambda: rig.values("e") == [1.0], "the first row")
    late = file.open("a")
    file.rename(tmp_path / "log.csv.1")
    file.write_text("time,kwh\n3,3\n")
    late.write("2,2\n2.5,2")
    late.close()
    until(lambda: rig.values("e") == [1.0, 2.0, 3.0], "both files in order")
    assert "'2.5,2'; not taken" in rig.said("half_lines")


@pytest.mark.server
def test_a_file_renamed_while_the_agent_was_off_is_found_and_finished(tmp_path, run_driver):
    file = tmp_path / "log.csv"
    file.write_text("time,kwh\n1,1\n")
    one = run_driver(followed())
    until(lambda: one.values("e") == [1.0], "the first row")
    cursor = one.stop()
    add(file, "2,2\n")
    file.rename(tmp_path / "log-yesterday.csv")
    file.write_text("time,kwh\n3,3\n")
    again = run_driver(followed(), cursor=cursor)
    until(lambda: again.values("e") == [2.0, 3.0], "the rest of the old one, then the new one")
    third = run_driver(followed(), cursor=again.stop())
    add(file, "4,4\n")
    until(lambda: third.values("e") == [4.0], "only what is new")


@pytest.mark.server
@pytest.mark.parametrize("rows", ["", "5,5\n6,6\n7,7\n8,8\n9,9\n"])
def test_a_truncated_and_a_rewritten_file_are_read_from_their_start(rows, tmp_path, run_driver):
    file = tmp_path / "log.csv"
    file.write_text("time,kwh\n1,1\n2,2\n")
    rig = run_driver(followed())
    until(lambda: rig.values("e") == [1.0, 2.0], "the first rows")
    file.write_text("time,kwh\n" + rows)
    rig.said("read from its start")
    add(file, "10,10\n")
    wanted = [float(row.split(",")[1]) for row in rows.splitlines()]
    until(lambda: rig.values("e") == [1.0, 2.0, *wanted, 10.0], "all of the new content, once")


@pytest.mark.server
def test_columns_that_change_places_are_followed_also_after_a_restart(tmp_path, run_driver):
    file = tmp_path / "log.csv"
    file.write_text("time,kwh\n1,1\n")
    rig = run_driver(followed())
    until(lambda: rig.values("e") == [1.0], "the first row")
    add(file, "time,kwh\n2,2\ntime,temp,kwh\n3,99,3\n")
    until(lambda: rig.values("e") == [1.0, 2.0, 3.0], "after the new header")
    assert rig.status().counters == {}
    again = run_driver(followed(), cursor=rig.stop())
    add(file, "4,99,4\n")
    until(lambda: again.values("e") == [4.0], "by the header in force")
    add(file, "time,kWh\n5,5\n")
    assert "did you mean 'kWh'" in again.said("failed")


@pytest.mark.server
def test_files_that_came_and_went_while_the_agent_was_off_are_read_in_order(tmp_path, run_driver):
    file = tmp_path / "log.csv"
    for n in (1, 2):
        file.write_text(f"time,kwh\n{n},{n}\n")
        file.rename(tmp_path / f"log-{n}.csv")
        os.utime(tmp_path / f"log-{n}.csv", (n, n))
    file.write_text("time,kwh\n3,3\n")
    rig = run_driver(followed(rotated="log-*.csv"))
    until(lambda: rig.values("e") == [1.0, 2.0, 3.0], "oldest first")
    cursor = rig.stop()
    for n in (3, 4):
        add(file, f"{n}.5,{n}.5\n")
        file.rename(tmp_path / f"log-{n}.csv")
        os.utime(tmp_path / f"log-{n}.csv", (n, n))
        file.write_text(f"time,kwh\n{n + 1},{n + 1}\n")
    again = run_driver(followed(rotated="log-*.csv"), cursor=cursor)
    until(lambda: again.values("e") == [3.5, 4.0, 4.5, 5.0], "all that came meanwhile")


@pytest.mark.server
def test_a_live_clock_and_a_cursor_of_an_earlier_version(tmp_path, run_driver):
    file = tmp_path / "log.csv"
    file.write_text("time,kwh\n1,1\n2,2\n")
    with file.open("rb") as handle:
        there = Position.of(handle, len("time,kwh\n1,1\n"), 2)
    old = f'{{"offset":{there.offset},"line":2,"head":"{there.head}"}}'
    rig = run_driver(followed(clock="live"), cursor=old)
    until(lambda: rig.values("e") == [2.0], "what is behind the old cursor")
    assert {batch.clock for batch in rig.batches} == {"live"}


@pytest.mark.server
def test_a_large_backlog_is_taken_whole_and_in_order(tmp_path, run_driver):
    (tmp_path / "log.csv").write_text("time,kwh\n" + "".join(f"{n},{n}\n" for n in range(5_000)))
    rig = run_driver(followed())
    until(lambda: len(rig.values("e")) == 5_000, "all rows")
    assert rig.values("e") == [float(n) for n in range(5_000)]
    assert max(len(batch) for batch in rig.batches) <= 1000


@pytest.mark.server
def test_each_row_arrives_once_through_kill_9_and_rotation_while_it_is_written(mosquitto, hub_on, tmp_path):
    """A logger writes and rotates, the agent is killed at random moments; every whole row is at the hub once."""
    mosquitto.start()
    hub, file, dice = hub_on(), tmp_path / "log.csv", random.Random(20261122)
    config = tmp_path / "edge.yaml"
    config.write_text(
        edge_file(mosquitto.port, followed(rotated="log.*.csv")).model_dump_json(by_alias=True, exclude_none=True)
    )
    stop, written = threading.Event(), []

    def log_away() -> None:
        file.write_text("time,kwh\n")
        while not stop.wait(0.004):
            n = len(written)
            if n and n % 150 == 0:
                file.rename(tmp_path / f"log.{n}.csv")
                add(file, "time,kwh\n")
            add(file, f"{n},")
            add(file, f"{n}\n")
            written.append(float(n))

    writer = threading.Thread(target=log_away)
    writer.start()
    agent = AgentProcess(config)
    try:
        for _ in range(3):
            time.sleep(dice.uniform(0.5, 1.0))
            agent.kill()
            agent = AgentProcess(config)
    finally:
        stop.set()
        writer.join()
    try:
        until(lambda: len(hub.values("e")) >= len(written), "all rows", 30)
    finally:
        assert agent.end() == 0, agent.log()
    assert Counter(hub.values("e")) == Counter(written)
    assert "Traceback" not in agent.log()

"""The twin's law: its tables follow from the readings and scans alone, whatever order they came in and who computed."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twin_lab import NOON, Batch, Lab, at, heat_readings, kill_backend, silo_readings

from sidestream_contracts.errors import TransientError
from sidestream_twin import update as update_module
from sidestream_twin.update import Limits, update, update_until_clean

pytestmark = pytest.mark.server

NOW = at(400)


def batches() -> list[Batch]:
    """Five minutes of everything, with holes, a late bit, a level now and then, and bags on their way."""
    parts = [Batch(heat_readings(range(n, n + 30), flow=10 + n / 100)) for n in range(0, 300, 30) if n != 120]
    parts += [Batch(silo_readings(range(n, n + 60), 3.0, 2.0)) for n in range(0, 300, 60)]
    parts += [Batch((("silo_mass", 95.5 + n, 4.0 + n / 1000),)) for n in (0, 1, 90, 180)]
    parts += [Batch((("silo_mass", 59.0 + n, 4.0 + n / 1000),)) for n in (0, 60, 120, 180)]
    parts += [Batch(scans=(("scan_store", 5.0 * n, f"BAG-{n}"),)) for n in range(4)]
    parts += [Batch(scans=(("scan_yard", 130.0 + n, f"BAG-{n}"), ("scan_yard", 140.0, "ODD"))) for n in range(3)]
    return [*parts, Batch(heat_readings((-86400.0 * 3, -86400.0 * 3 + 1)))]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_arrival_order_with_updates_anywhere_between_gives_the_same_tables(lab: Lab, data):
    lab.clear()
    lab.bring(*batches())
    update_until_clean(lab.dsn, now_at=NOW)
    expected = lab.dump()
    assert expected["twin_value"]
    assert expected["lot"]
    assert expected["agreement"]
    assert any(row[4:] and "redundant" in row for row in expected["balance_part"])
    lab.clear()
    arrivals = data.draw(st.permutations(batches()))
    while arrivals:
        size = data.draw(st.integers(1, len(arrivals)))
        lab.bring(*arrivals[:size])
        arrivals = arrivals[size:]
        update(lab.dsn, now_at=at(data.draw(st.integers(60, 400))))
    update_until_clean(lab.dsn, now_at=NOW)
    assert lab.dump() == expected


def test_small_passes_give_what_one_large_pass_gives(lab: Lab, monkeypatch):
    lab.bring(*batches())
    update(lab.dsn, now_at=NOW)
    expected = lab.dump()
    lab.clear()
    lab.bring(*batches())
    # So late that all of it is old, and a pass may take little: many passes.
    monkeypatch.setattr("sidestream_twin.stock_pass.STEPS_PER_PASS", 3)
    report = update_until_clean(lab.dsn, now_at=NOW + timedelta(days=1), limits=Limits(rows=7, readings=200))
    assert report.passes > 5
    found = lab.dump()
    for table in (
        "twin_value",
        "twin_sum",
        "twin_sum_1h",
        "twin_sum_6h",
        "twin_sum_1d",
        "balance_part",
        "balance_node",
        "observation",
        "lot",
        "lot_stay",
        "rollup_1m",
    ):
        assert found[table] == expected[table], table


def test_updating_again_changes_nothing(lab: Lab):
    lab.bring(*batches())
    update_until_clean(lab.dsn, now_at=NOW)
    expected = lab.dump()
    again = update_until_clean(lab.dsn, now_at=NOW)
    assert lab.dump() == expected
    assert again.steps == 0


def test_a_pass_that_loses_its_database_session_leaves_everything_as_it_was(lab: Lab, monkeypatch):
    lab.bring(*batches())
    before, dirty = lab.dump(), lab.one("SELECT count(*) FROM sidestream.dirty")
    judge = update_module.update_agreements

    def cut_off(*arguments):
        assert kill_backend(lab.dsn, "sidestream twin") == 1
        return judge(*arguments)

    with monkeypatch.context() as cut:
        cut.setattr(update_module, "update_agreements", cut_off)
        with pytest.raises(TransientError):
            update(lab.dsn, now_at=NOW)
    assert lab.dump() == before
    assert lab.one("SELECT count(*) FROM sidestream.dirty") == dirty
    update_until_clean(lab.dsn, now_at=NOW)
    after_crash = lab.dump()
    lab.clear()
    lab.bring(*batches())
    update_until_clean(lab.dsn, now_at=NOW)
    assert lab.dump() == after_crash


def test_two_updaters_at_once_give_what_one_gives(lab: Lab):
    lab.bring(*batches())
    update_until_clean(lab.dsn, now_at=NOW)
    expected = lab.dump()
    lab.clear()
    failures: list[TransientError] = []

    def keep_updating(finished: threading.Event) -> None:
        try:
            while not finished.is_set():
                update(lab.dsn, now_at=NOW, limits=Limits(rows=5))
        except TransientError as error:
            failures.append(error)

    finished = threading.Event()
    updaters = [threading.Thread(target=keep_updating, args=(finished,)) for _ in range(2)]
    for thread in updaters:
        thread.start()
    for batch in batches():
        lab.bring(batch)
    finished.set()
    for thread in updaters:
        thread.join()
    update_until_clean(lab.dsn, now_at=NOW)
    assert not failures
    assert lab.dump() == expected


def test_a_reading_sixty_days_late_gives_its_step_a_figure_and_its_stock_a_new_history(lab: Lab):
    lab.bring(Batch(silo_readings(range(60), 3.0, 2.0)), Batch((("silo_mass", 5.0, 4.0),)))
    update_until_clean(lab.dsn, now_at=NOW)
    alone = lab.values("silo", "stock_mass")
    days = -60 * 86400.0
    lab.bring(Batch((*heat_readings((days, days + 5, days + 10)), ("silo_mass", days + 5, 5.0))))
    update_until_clean(lab.dsn, now_at=NOW)
    assert lab.values("heat", "heat_flow")[days][0] == pytest.approx(451.8e3, rel=1e-3)
    after = lab.values("silo", "stock_mass")
    assert after[days][0] == pytest.approx(5000.0)
    assert set(alone) < set(after)
    assert lab.one("SELECT count(*) FROM sidestream.agreement_status WHERE period_to < %s", NOON)[0] == 1

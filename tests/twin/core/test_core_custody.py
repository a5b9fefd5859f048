"""Where a lot is does not depend on the order its scans arrived in, and an unplaced reader is said to be one."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.custody import Custody, Lot, Scan, holdings, locate, stays_by_code
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARED = Path(os.environ.get("SIDESTREAM_SHARED", Path(__file__).parents[4] / "shared"))
scans = st.lists(
    st.builds(
        Scan,
        st.integers(0, 8).map(lambda minute: NOON + timedelta(minutes=minute)),
        st.sampled_from(["bag-1", "bag-2"]),
        st.sampled_from(["dock", "yard", None]),
        st.sampled_from(["", "receiving", "shipping"]),
        st.sampled_from(["r1", "r2"]),
    ),
    max_size=20,
)
LOTS = {code: Lot(code, Uncertain(1000.0, 1.0, 3.0), "bridge") for code in ("bag-1", "bag-2", "bag-3")}


def scan(minute, code="bag-1", place="dock", step="", reader="r1"):
    return Scan(NOON + timedelta(minutes=minute), code, place, step, reader)


@given(scans, st.randoms(use_true_random=False))
def test_any_arrival_order_and_any_repetition_give_the_same_state(given_scans, random):
    repeated = given_scans + given_scans[::2]
    random.shuffle(repeated)
    assert locate(repeated, LOTS) == locate(given_scans, LOTS)


@given(scans)
def test_every_read_is_in_exactly_one_stay_and_stays_follow_in_time(given_scans):
    stays = stays_by_code(given_scans)
    assert sum(stay.reads for of_code in stays.values() for stay in of_code) == len(set(given_scans))
    for of_code in stays.values():
        for before, after in pairwise(of_code):
            assert before.last_seen_at <= after.from_at
            assert (before.place, before.step) != (after.place, after.step)


@given(scans)
def test_every_lot_is_in_exactly_one_place_and_no_mass_is_lost(given_scans):
    held = holdings(locate(given_scans, LOTS), LOTS)
    assert sum(holding.lots for holding in held) == 3
    assert sum(holding.mass.value for holding in held) == pytest.approx(3000.0)


def test_the_last_reading_by_measured_time_tells_the_place():
    where = locate([scan(5, place="yard"), scan(9, place="dock"), scan(1, place="dock")], LOTS)["bag-1"]
    assert (where.custody, where.place, where.since_at) == (Custody.AT_PLACE, "dock", NOON + timedelta(minutes=9))


def test_many_reads_at_one_place_are_one_stay():
    stays = stays_by_code([scan(i) for i in range(200)])["bag-1"]
    assert [(stay.place, stay.reads) for stay in stays] == [("dock", 200)]
    assert stays[0].last_seen_at - stays[0].from_at == timedelta(minutes=199)


def test_a_reader_without_a_place_gives_place_unknown_and_the_last_known_place():
    where = locate([scan(1, place="yard"), scan(2, place=None)], LOTS)["bag-1"]
    assert (where.custody, where.place) == (Custody.PLACE_UNKNOWN, None)
    assert (where.last_known_place, where.last_known_at) == ("yard", NOON + timedelta(minutes=1))


def test_a_lot_never_read_and_a_code_without_a_lot_are_said_to_be_so():
    found = locate([scan(1, code="stranger")], LOTS)
    assert (found["bag-3"].custody, found["bag-3"].last_seen_at) == (Custody.PLACE_UNKNOWN, None)
    assert (found["stranger"].known_code, found["stranger"].place) == (False, "dock")


def test_shipping_puts_a_lot_on_its_way_until_it_is_read_again():
    sent = [scan(1, step="storing"), scan(2, step="shipping")]
    assert locate(sent, LOTS)["bag-1"].custody is Custody.IN_TRANSIT
    arrived = locate([*sent, scan(3, place="yard", step="receiving")], LOTS)["bag-1"]
    assert (arrived.custody, arrived.place) == (Custody.AT_PLACE, "yard")
    assert locate([scan(1, step="destroying")], LOTS)["bag-1"].custody is Custody.ENDED


def test_a_change_of_step_at_one_place_keeps_the_time_of_arrival():
    where = locate([scan(1, step="receiving"), scan(4, step="storing")], LOTS)["bag-1"]
    assert (where.since_at, len(where.stays)) == (NOON + timedelta(minutes=1), 2)


def test_masses_by_one_scale_share_its_error():
    held = holdings(locate([scan(1), scan(1, code="bag-2")], LOTS), LOTS)
    dock = next(holding for holding in held if holding.place == "dock")
    assert (dock.lots, dock.mass.value, dock.mass.sd_systematic) == (2, 2000.0, 6.0)
    assert dock.mass.sd_random == pytest.approx(2**0.5)


def test_an_unweighed_lot_is_counted_and_adds_no_mass():
    held = holdings(locate([scan(1)], {"bag-1": Lot("bag-1")}), {"bag-1": Lot("bag-1")})
    assert (held[0].lots, held[0].unweighed, held[0].mass.value) == (1, 1, 0.0)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ModelError, match="time zone"):
        Scan(datetime(2026, 1, 1), "bag-1", "dock")  # noqa: DTZ001


def test_real_portal_reads_are_all_accounted_for():
    """36 475 RFID reads (Hasler et al. 2019): 1 241 tags, 326 of them without a panel, 4 004 of the reads."""
    folder = SHARED / "data" / "rfid-portal"
    if not folder.exists():
        pytest.skip(f"the third-party reads {folder} are not here; set SIDESTREAM_SHARED to the folder that has data/")
    with (folder / "panels_epc_mapping.csv").open(newline="") as file:
        panel = {row["epc"]: f"panel-{row['panel']}" for row in csv.DictReader(file)}
    with (folder / "reads.csv").open(newline="") as file:
        reads = [_portal_scan(row, panel) for row in csv.DictReader(file)]
    found = locate(reads, {code: Lot(code) for code in panel})
    seen = [where for where in found.values() if where.stays]
    unplaced = [where for where in seen if where.custody is Custody.PLACE_UNKNOWN]
    assert (len(reads), sum(stay.reads for where in seen for stay in where.stays)) == (36_475, 36_475)
    assert (len(seen), len(unplaced)) == (1_241, 326)
    assert sum(stay.reads for where in unplaced for stay in where.stays) == 4_004


def _portal_scan(row, panel):
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(row["milliseconds"]))
    return Scan(at, row["epc"], panel.get(row["epc"]), reader=f"{row['session']}:{row['experiment_nr']}:{row['']}")

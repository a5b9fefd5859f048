"""Pure rules of sending: the window, its fairness, the re-send times, and how an unspoken packet limit is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.frame import LANES
from sidestream_edge.outbox import Place
from sidestream_edge.suspicion import Suspicion
from sidestream_edge.window import CAP, RESERVED, TOTAL, Window, resend_after_s


@given(st.lists(st.tuples(st.sampled_from(LANES), st.booleans()), max_size=300))
def test_never_more_than_64_in_flight_and_every_lane_can_always_begin(steps: list[tuple[str, bool]]) -> None:
    window, seq = Window(), 0
    for lane, is_ack in steps:
        if is_ack and window.places(lane):
            window.done(lane, window.places(lane)[:1])
        elif window.room(lane) > 0:
            seq += 1
            window.sent(lane, Place(1, seq), 100, now_s=0.0)
        assert len(window) <= TOTAL
        for name in LANES:
            assert len(window.places(name)) <= CAP[name]
            assert window.room(name) > 0 or len(window.places(name)) >= RESERVED


def test_a_bulk_backlog_leaves_room_for_a_new_scan_and_for_live() -> None:
    window, seq = Window(), 0
    while window.room("bulk"):
        seq += 1
        window.sent("bulk", Place(1, seq), 100, now_s=0.0)
    assert seq == CAP["bulk"]
    assert window.room("scan") >= 16
    assert window.room("live") >= 16


def test_large_bulk_frames_count_by_bytes_but_one_may_always_go() -> None:
    window = Window()
    assert window.room("bulk") > 0
    window.sent("bulk", Place(1, 1), 1 << 20, now_s=0.0)
    assert window.room("bulk") == 0
    window.done("bulk", [Place(1, 1)])
    assert window.room("bulk") > 0


def test_bulk_gets_room_on_a_fast_line_and_is_held_to_a_frame_on_a_slow_one() -> None:
    window, seq, now_s = Window(), 0, 0.0

    def under_way(round_trip_s: float, rounds: int) -> int:
        """Bytes of 30 kB frames in flight after so many round trips."""
        nonlocal seq, now_s
        most = 0
        for _ in range(rounds):
            while window.room("bulk"):
                seq += 1
                window.sent("bulk", Place(1, seq), 30_000, now_s)
            most = len(window.places("bulk")) * 30_000
            now_s += round_trip_s
            window.done("bulk", window.places("bulk"), now_s)
        return most

    assert under_way(0.05, 10) >= 900_000
    assert under_way(4.0, 10) == 30_000
    assert under_way(0.05, 10) >= 900_000, "and recovers"


def test_resend_times_double_from_2_s_up_to_5_min() -> None:
    assert [resend_after_s(n) for n in (1, 2, 3, 8, 9, 1000)] == [2, 4, 8, 256, 300, 300]


def test_a_frame_is_overdue_only_after_its_own_time_out() -> None:
    window = Window()
    window.sent("live", Place(1, 1), 1, now_s=10.0)
    assert window.overdue(11.9) == []
    assert window.overdue(12.0) == [("live", Place(1, 1))]
    assert window.sent("live", Place(1, 1), 1, now_s=12.0) == 4.0
    assert window.next_due_s() == 16.0


def test_a_frame_that_ends_three_connections_alone_is_convicted() -> None:
    suspicion: Suspicion[str] = Suspicion()
    assert suspicion.connection_lost({"big": 50_000, "a": 500, "b": 9000}) is None
    assert suspicion.suspect == "big"
    assert suspicion.connection_lost({"big": 50_000}) is None
    assert suspicion.connection_lost({"big": 50_000}) is None
    assert suspicion.connection_lost({"big": 50_000}) == "big"
    assert suspicion.suspect is None


def test_the_broker_saying_too_large_is_proof_enough_when_the_frame_was_alone() -> None:
    suspicion: Suspicion[str] = Suspicion()
    suspicion.connection_lost({"big": 50_000, "a": 500}, says_too_large=True)
    assert suspicion.connection_lost({"big": 50_000}, says_too_large=True) == "big"


def test_a_frame_that_passes_is_acquitted_and_none_of_its_size_is_suspected_again() -> None:
    suspicion: Suspicion[str] = Suspicion()
    suspicion.connection_lost({"big": 50_000})
    suspicion.delivered("big", 50_000)
    assert suspicion.suspect is None
    for _ in range(10):
        assert suspicion.connection_lost({"other": 50_000}) is None
    assert suspicion.suspect is None


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=50))
def test_ordinary_frames_are_never_suspected_however_often_the_line_is_cut(sizes: list[int]) -> None:
    suspicion: Suspicion[int] = Suspicion()
    for n, size in enumerate(sizes):
        assert suspicion.connection_lost({n: size}) is None
    assert suspicion.suspect is None

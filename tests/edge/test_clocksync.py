"""The kernel's word on the clock is asked for rarely and never guessed."""

from __future__ import annotations

import sys

import pytest

from sidestream_edge.clocksync import KEPT_S, ClockWatch, kernel_sync


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_linux_tells_whether_its_clock_is_kept_right_or_that_it_may_not() -> None:
    assert kernel_sync() in ("synced", "unsynced", "unknown")


def test_a_platform_that_cannot_tell_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidestream_edge.clocksync._ntp_adjtime", lambda: None)
    assert kernel_sync() == "unknown"


@pytest.mark.parametrize(("state", "told"), [(0, "synced"), (1, "synced"), (5, "unsynced"), (-1, "unknown")])
def test_the_kernels_states_are_read_as_they_are_meant(state: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidestream_edge.clocksync._ntp_adjtime", lambda: lambda _: state)
    assert kernel_sync() == told


def test_the_kernel_is_asked_once_in_five_seconds() -> None:
    asked: list[int] = []
    now = [0.0]
    watch = ClockWatch(lambda: asked.append(1) or "synced", lambda: now[0])  # type: ignore[func-returns-value]
    assert [watch.sync() for _ in range(100)] == ["synced"] * 100
    now[0] = KEPT_S
    watch.sync()
    assert len(asked) == 2

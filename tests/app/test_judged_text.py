"""Every judgement and forecast of the twin has a sentence, in the commands and on the dashboards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sidestream_app.judged_text import REASONS, agreement_lines, forecast_line, share, stop_line
from sidestream_dashboards import look
from sidestream_store.stops import Stop
from sidestream_twin.core.agreement import ReasonCode, Status
from sidestream_twin.core.forecast import Outcome

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROW = {
    "agreement": "deal", "name": "Heat", "unit": "MW.h", "status": "on_track", "reason": "within_tolerance",
    "delivered": 10.0, "sd": 0.2, "expected_so_far": 12.0, "agreed": 24.0, "period": "day", "period_from": AT,
    "probability": 0.5, "completeness": 0.98, "origin": "measured", "stopped_s": 7200.0,
    "evidence": {"stops": [3], "specs": {"tin": {"outside": 0.1, "surely": 0.02, "allowed": 0.05, "known": 1.0}}},
}  # fmt: skip
FORECAST = {
    "event": "overflow", "outcome": "expected", "reason": None, "limit_kg": 9000.0, "probability": 0.7, "from_at": AT,
    "horizon_at": AT + timedelta(days=7), "q05_at": AT + timedelta(days=1), "q50_at": AT + timedelta(days=2), "q95_at": None,
}  # fmt: skip


def test_every_reason_and_status_has_words():
    assert set(REASONS) == {str(reason) for reason in ReasonCode}
    assert set(look.AGREEMENT_REASON[0]["options"]) == {str(reason) for reason in ReasonCode}
    assert set(look.AGREEMENT_STATUS[0]["options"]) == {str(status) for status in Status}
    assert set(look.FORECAST[0]["options"]) == {str(outcome) for outcome in Outcome}


def test_an_agreement_is_told_with_its_amounts_its_stops_and_its_quality():
    text = "\n".join(agreement_lines(ROW, "Europe/Oslo"))
    assert "deal (Heat): on track: within the agreed tolerance" in text
    assert "10 ± 0.4 MW.h of 12 expected by now, 24 agreed" in text
    assert "2.0 h of the period stand still as planned (stop 3)" in text
    assert "tin: outside its limits 10 %" in text


@pytest.mark.parametrize("outcome", [str(outcome) for outcome in Outcome])
def test_a_forecast_says_that_it_is_one_or_why_there_is_none(outcome):
    line = forecast_line(FORECAST | {"outcome": outcome, "reason": "flow_unknown"}, "Europe/Oslo")
    assert ("forecast" in line) or ("not known: a flow" in line) or ("is reached" in line)


def test_a_band_that_ends_beyond_the_horizon_is_not_given_an_end():
    assert "and beyond the horizon" in forecast_line(FORECAST, "Europe/Oslo")
    assert [share(x) for x in (None, 0.001, 0.5, 0.999)] == ["-", "< 1 %", "50 %", "> 99 %"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("planned", "node kiln: to stand still as planned, "),
        ("running", "node kiln: stands still now, "),
        ("over", "node kiln: stood still, "),
        ("withdrawn", "node kiln: stop taken back, "),
    ],
)
def test_a_stop_never_reads_as_if_the_node_were_running(state, words):
    stop = Stop(3, None, "kiln", None, AT, AT + timedelta(hours=1), "relining", "Kari", state)
    line = stop_line(stop, "Europe/Oslo")
    assert words in line
    assert "running" not in line
    assert line.endswith("relining (Kari)")

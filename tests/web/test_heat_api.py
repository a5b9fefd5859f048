"""The report on heat over HTTP, read with the viewer's rights."""

from __future__ import annotations

import pytest
from twin_lab import Batch, Lab, at, heat_readings

from sidestream_store.roles import ensure_viewer
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server


def test_the_report_on_heat_is_read_with_the_viewers_rights(database, tmp_path, postgres, start_web):
    lab = Lab(database, tmp_path)
    lab.bring(Batch(heat_readings(range(600))))
    update_until_clean(lab.dsn, now_at=at(900))
    ensure_viewer(lab.dsn, "heat_viewer", "secret")
    web = start_web(postgres.dsn(lab.one("SELECT current_database()")[0], "heat_viewer", "secret"))
    span = {"from": "2026-11-20T12:00:00Z", "to": "2026-11-20T12:15:00Z"}
    told = web.get("heat", **span).json()
    assert told["synthetic"] is True
    assert (told["from_at"], told["bucket_s"]) == ("2026-11-20T12:00:00Z", 900)
    (exchange,) = told["exchanges"]
    assert (exchange["streams"], exchange["agreement"]) == (["heat"], "heat-deal")
    used = exchange["used"]
    (stored,) = lab.one("SELECT sum(total) FROM sidestream.twin_sum WHERE subject = 'heat' AND quantity = 'heat_flow'")
    assert used["value"] == pytest.approx(stored)
    assert (used["unit"], used["origin"]) == ("J", "estimated")  # of its last step the end was not seen
    assert used["completeness"] == pytest.approx(2 / 3, abs=0.01)
    assert exchange["lost"]["value"] is None
    assert "one meter stands for both ends" in exchange["lost"]["why"]
    wrong = web.get("heat", **{"from": "2026-11-20T12:00:00Z", "to": "2026-11-20T11:00:00Z"})
    assert wrong.status_code == 422
    assert web.get("heat", **{"from": "2020-11-20T12:00:00Z"}).status_code == 422
    lab.connection.close()

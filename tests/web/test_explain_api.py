"""Explaining, findings and notes over HTTP: everybody reads, operators write, each with token and name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from twin_lab import Batch, Lab, at, silo_readings

from sidestream_store.roles import ensure_viewer
from sidestream_twin.explain.kinds import explain
from sidestream_twin.update import update_until_clean
from sidestream_web.settings import Operators

pytestmark = pytest.mark.server
TOKEN = "a-token-of-some-length"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Sidestream-By": "Kari"}


def test_numbers_are_explained_findings_handled_and_notes_written_over_http(database, tmp_path, postgres, start_web):
    lab = Lab(database, tmp_path)
    code = "BAG-urn:epc:1/2@3"
    lab.bring(Batch(silo_readings(range(60), 3.0, 1.0)), Batch(scans=(("scan_store", 3.0, code),)))
    update_until_clean(lab.dsn, now_at=at(300))
    ensure_viewer(lab.dsn, "explain_viewer", "secret")
    web = start_web(
        postgres.dsn(lab.one("SELECT current_database()")[0], "explain_viewer", "secret"), Operators(TOKEN, lab.dsn)
    )

    def post(path: str, body: dict, headers: dict = HEADERS) -> httpx.Response:
        return httpx.post(f"{web.url}/api/v1/{path}", json=body, headers=headers, timeout=20)

    name = "stream/in/mass_flow"
    told = web.get(f"explain/{name}@2026-11-20T12:00:10Z").json()
    assert told["check"]["outcome"] == "equal"
    assert told == explain(lab.connection, f"{name}@2026-11-20T12:00:10Z", at(0)).as_dict()
    assert web.get(f"explain/{name}", at="2026-11-20T13:00:10+01:00").json() == told
    assert web.get(f"explain/{name}", at="2026-11-20T12:00:10Z", depth=0).json()["inputs"] == []
    assert web.get("explain/lot/BAG-urn:epc:1%2F2%403").json()["said"] == "store"
    wrong = web.get("explain/stream/inn/mass_flow")
    assert wrong.status_code == 422
    assert "Did you mean stream/in" in wrong.json()["error"]["message"]

    (finding,) = [f for f in web.get("findings").json()["findings"] if f["finding"] == "sensor_stale/belt_in#1"]
    assert (finding["state"], finding["about"]) == ("unacknowledged", "sensor/belt_in")
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    shelve = {"finding": finding["finding"], "until": until, "reason": "out for service"}
    assert post("findings/shelve", shelve, {}).status_code == 401
    assert post("findings/shelve", shelve).json()["state"] == "shelved"
    assert post("findings/unshelve", {"finding": finding["finding"]}).json()["state"] == "unacknowledged"
    assert post("findings/acknowledge", {"finding": finding["finding"]}).json()["acknowledged_by"] == "Kari"
    assert post("findings/acknowledge", {"finding": finding["finding"]}).status_code == 422
    done = web.get("findings/actions", kind="sensor_stale", subject="belt_in").json()
    assert [act["action"] for act in done] == ["shelve", "unshelve", "acknowledge"]

    note = {
        "about": "stream/in",
        "text": "belt cleaned",
        "from_at": "2026-11-20T12:00:00Z",
        "to_at": "2026-11-20T12:01:00Z",
    }
    assert post("notes", note).json()["author"] == "Kari"
    assert post("notes", note | {"about": "stream/inn"}).status_code == 422
    (found,) = web.get("notes", kind="stream", subject="in").json()["notes"]
    assert found["text"] == "belt cleaned"
    told = web.get(f"explain/{name}@2026-11-20T12:00:10Z").json()
    assert [part["said"] for part in told["inputs"] if part["what"] == "note"] == ["belt cleaned"]
    lab.connection.close()

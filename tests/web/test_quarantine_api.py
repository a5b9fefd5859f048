"""The quarantine over HTTP: everybody reads, operators replay and discard, each with token and name."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from frames import NOW, NOW_US, key_of, readings_body
from hub_files import TEST_HUB, test_hub

from sidestream_ingest.replay import replay_at
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import Partitions
from sidestream_store.quarantine import Message, insert_quarantine
from sidestream_store.roles import ensure_viewer
from sidestream_web.settings import Operators

pytestmark = pytest.mark.server
TOKEN = "a-token-of-some-length"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Sidestream-By": "Kari"}
NEW = {"id": "new", "device": "gw", "name": "New", "quantity": "mass", "unit": "t", "node": "silo"}


@pytest.fixture
def viewer(small, postgres):
    """The web's own login, which reads the views and nothing else."""
    ensure_viewer(small.dsn, "api_viewer", "secret")
    name = small.sql.execute("SELECT current_database()").fetchone()[0]
    return postgres.dsn(name, "api_viewer", "secret")


@pytest.fixture
def web(small, viewer, start_web):
    """A server where operators may write."""
    Partitions().ensure(small.sql, [NOW_US])
    return start_web(viewer, Operators(TOKEN, small.dsn, replay_at))


def quarantine(small, n: int, *, sensor: str = "new", reason: str = "unknown_sensor") -> int:
    raw = readings_body((sensor, NOW_US + n, float(n)))
    message = Message(
        "sidestream/v1/h/a/gw/readings",
        "h/a/gw",
        raw,
        NOW + timedelta(seconds=n),
        tuple(key_of(raw, n + 1).properties()),
    )
    insert_quarantine(small.sql, [message.quarantined(reason, "A sentence.", 1, sensor=sensor)])
    return small.sql.execute("SELECT max(quarantine_id) FROM sidestream.quarantine").fetchone()[0]


def post(web, path: str, body: object, headers=HEADERS) -> httpx.Response:
    return httpx.post(f"{web.url}/api/v1/quarantine/{path}", json=body, headers=headers, timeout=20)


def test_entries_come_page_by_page_and_each_is_explained(small, web):
    ids = [quarantine(small, n) for n in range(5)]
    seen, before = [], None
    while True:
        page = web.get(
            "quarantine/entries", limit=2, reason="unknown_sensor", **({"before": before} if before else {})
        ).json()
        seen += [entry["quarantine_id"] for entry in page["entries"]]
        before = page["next"]
        if before is None:
            break
    assert seen == ids[::-1]
    (group,) = web.get("quarantine/groups", device="gw").json()["groups"]
    assert (group["messages"], group["newest_id"], group["a_sensor"]) == (5, ids[-1], "new")
    whole = web.get(f"quarantine/entries/{ids[0]}").json()
    assert '"new"' in whole["raw_text"]
    assert ["lane", "live"] in whole["properties"]
    explained = web.get(f"quarantine/entries/{ids[0]}/explanation").json()
    assert explained["snippet"].startswith("- {id: new, device: gw")
    assert any(command.startswith(f"sidestream quarantine mend {ids[0]}") for command in explained["commands"])
    assert web.get("quarantine/entries/999").status_code == 404
    assert web.get("quarantine/entries", state="lost").status_code == 422


def test_an_operator_replays_and_discards_and_both_stay_on_record(small, web, tmp_path):
    usable, useless = quarantine(small, 1), quarantine(small, 2, reason="not_json")
    apply_hub(small.dsn, test_hub(sensors=[*TEST_HUB["sensors"], NEW]), tmp_path)
    answer = post(web, "replay", {"reason": "unknown_sensor"}).json()
    assert (answer["readings"], answer["outcomes"][0]["state"]) == (1, "replayed")
    assert post(web, "discard", {"ids": [useless], "why": "a test"}).json()["outcomes"][0]["state"] == "discarded"
    done = web.get("quarantine/actions").json()["actions"]
    assert [(a["quarantine_id"], a["author"], a["action"]) for a in done] == [
        (useless, "Kari", "discard"),
        (usable, "Kari", "replay"),
    ]
    assert small.sql.execute("SELECT value FROM sidestream.reading").fetchall() == [(1.0,)]
    assert web.get("quarantine/groups", state="open").json() == {"groups": []}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "not_an_operator"),
        ({"Authorization": f"Bearer {TOKEN}x", "X-Sidestream-By": "Kari"}, 401, "not_an_operator"),
        ({"Authorization": f"Basic {TOKEN}", "X-Sidestream-By": "Kari"}, 401, "not_an_operator"),
        ({"Cookie": f"token={TOKEN}", "X-Sidestream-By": "Kari"}, 401, "not_an_operator"),
        ({"Authorization": f"Bearer {TOKEN}"}, 422, "bad_parameter"),
        ({"Authorization": f"Bearer {TOKEN}", "X-Sidestream-By": "x" * 81}, 422, "bad_parameter"),
    ],
)
def test_without_token_or_name_nothing_is_written(small, web, headers, status, code):
    number = quarantine(small, 1)
    for path, body in (("discard", {"ids": [number], "why": "x"}), ("replay", {"all_open": True})):
        answer = post(web, path, body, headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert small.sql.execute("SELECT state FROM sidestream.quarantine").fetchall() == [("open",)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("replay", {}),
        ("replay", {"all_open": True, "ids": [1]}),
        ("replay", {"id": [1]}),
        ("replay", {"ids": [2**70]}),
        ("discard", {"ids": [], "why": "x"}),
        ("discard", {"ids": [1], "why": " "}),
        ("discard", {"ids": [10**9], "why": "x"}),
    ],
)
def test_a_request_that_makes_no_sense_is_told_so(small, web, path, body):
    quarantine(small, 1)
    assert post(web, path, body).status_code == 422


@pytest.mark.parametrize("operators", [Operators(), Operators(token=TOKEN), Operators(dsn="host=x")])
def test_a_server_that_was_not_told_to_let_operators_write_says_how(small, viewer, start_web, operators):
    answer = post(start_web(viewer, operators), "replay", {"all_open": True})
    assert answer.status_code == 403
    assert "SIDESTREAM_OPERATOR_TOKEN" in answer.json()["error"]["message"]


def test_the_description_of_the_api_names_token_name_and_bodies(web):
    api = httpx.get(f"{web.url}/openapi.json", timeout=20).json()
    described = api["paths"]["/api/v1/quarantine/replay"]["post"]
    assert described["security"] == [{"operator": []}]
    assert [p["name"] for p in described["parameters"]] == ["X-Sidestream-By"]
    assert {"401", "403", "422"} <= described["responses"].keys()
    assert TOKEN not in str(api)

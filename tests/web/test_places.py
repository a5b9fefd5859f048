"""Questions that take long don't pile up: beyond the places there are, the asker is told when to come back."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from sidestream_contracts.errors import TransientError
from sidestream_web.api import explain, heat
from sidestream_web.errors import install
from sidestream_web.places import WAIT_S, Places


def test_who_finds_no_place_in_time_is_answered_503_with_a_sentence_and_when_to_come_back():
    places = Places(1, "reports", wait_s=0.01)
    app = FastAPI()
    install(app)

    @app.get("/report")
    def report() -> str:
        with places.one():
            return "told"

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/report")

    with places.one():
        refused = asyncio.run(ask())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert "1 reports are being answered already" in refused.json()["error"]["message"]
    assert asyncio.run(ask()).json() == "told"


def test_a_question_that_fails_gives_its_place_back():
    places = Places(1, "reports", wait_s=0.01)
    with pytest.raises(ZeroDivisionError), places.one():
        1 / 0  # noqa: B018
    with places.one(), pytest.raises(TransientError), places.one():
        pass


def test_explanations_and_reports_on_heat_wait_seconds_at_most():
    assert isinstance(explain._PLACES, Places)
    assert isinstance(heat._PLACES, Places)
    assert WAIT_S <= 5

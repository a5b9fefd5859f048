"""The live page in a real browser: readable wide and on a phone, in both languages, and it moves by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = [pytest.mark.server, pytest.mark.browser]

SHOTS = Path(__file__).parents[2] / "test-output"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ROOMY = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Without a page that another test left open."""
    yield chromium
    for context in chromium.contexts:
        context.close()


def open_page(browser: Browser, url: str, size: dict[str, int], **settings: Any) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport=size, timezone_id="Europe/Oslo", **settings)
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith(url) else complaints.append(f"left: {request.url}")
    )
    page.goto(url)
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    return page, complaints


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    page.screenshot(path=str(SHOTS / f"web-{name}.png"), full_page=True)


def test_the_page_is_whole_on_a_wide_screen_and_on_a_phone_in_both_languages(browser, kvinesdal, start_web):
    web = start_web(kvinesdal.dsn)
    sensors = len(web.get("hub").json()["sensors"])
    for name, size, locale, scheme, heading in (
        ("wide-nb", ROOMY, "nb-NO", "light", "Trenger oppmerksomhet"),
        ("wide-en-dark", ROOMY, "en-GB", "dark", "Needs attention"),
        ("phone-nb", PHONE, "nb-NO", "light", "Trenger oppmerksomhet"),
        ("phone-en", PHONE, "en-GB", "light", "Needs attention"),
    ):
        page, complaints = open_page(browser, web.url, size, locale=locale, color_scheme=scheme)
        expect(page.locator("#attention h2")).to_have_text(heading)
        expect(page.locator("#synthetic")).to_be_visible()
        expect(page.locator("#stock-list > li")).to_have_count(5)
        page.locator("#sensors > summary").click()
        expect(page.locator("#sensor-list > li")).to_have_count(sensors)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name}: {overflow} px to the right"
        page.locator("#sensors > summary").click()
        shoot(page, name)
        assert complaints == []
        page.context.close()


def test_a_value_moves_by_itself_and_a_stale_one_looks_stale(browser, kvinesdal, start_web):
    web = start_web(kvinesdal.dsn)
    page, complaints = open_page(browser, web.url, ROOMY, locale="nb-NO")
    page.locator("#sensors > summary").click()
    row = page.locator("[data-sensor=basin-temp]")
    expect(row.locator(".mark")).to_contain_text("god")
    kvinesdal.reading("basin-temp", 18.37)
    web.hint("basin-temp")
    expect(row.locator(".figure")).to_contain_text("18,37", timeout=3000)
    expect(row.locator(".figure")).to_contain_text("±")
    stale = page.locator("[data-sensor=school-heat-flow]")
    expect(stale.locator("s")).to_be_visible()
    expect(stale).to_contain_text("foreldet siden")
    assert row.locator("a.csv").get_attribute("href") == "/api/v1/series.csv?sensor=basin-temp&bucket=raw"
    assert complaints == []


def test_a_planned_exchange_shows_its_stage_and_no_number(browser, kvinesdal, start_web):
    kvinesdal.state("stream", "greenhouse-heat", "heat_flow", 5e5, 1e4)
    page, _ = open_page(browser, start_web(kvinesdal.dsn).url, ROOMY, locale="nb-NO")
    label = page.locator("[data-label-of=greenhouse-heat]")
    assert label.text_content() == "idé"
    assert page.locator("[data-label-of=dust-pellets]").text_content() == "under bygging"
    dashes = page.locator("[data-stream=greenhouse-heat] .line").first.evaluate(
        "e => getComputedStyle(e).strokeDasharray"
    )
    assert dashes != "none"
    assert "kW" in (page.locator("[data-label-of=fish-heat]").text_content() or "")
    listed = page.locator("#exchange-list [data-stream=greenhouse-heat]").text_content() or ""
    assert "idé" in listed
    assert "kW" not in listed


def test_no_label_of_the_map_covers_a_box_or_another_label(browser, kvinesdal, start_web):
    page, _ = open_page(browser, start_web(kvinesdal.dsn).url, ROOMY, locale="nb-NO")
    covered = page.evaluate("""() => {
        const box = (e) => { const r = e.getBBox(); return [r.x + 3, r.y + 3, r.x + r.width - 3, r.y + r.height - 3]; };
        const labels = [...document.querySelectorAll('.label rect')].map(box);
        const nodes = [...document.querySelectorAll('.node rect')].map(box);
        const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
        let count = 0;
        labels.forEach((a, i) => { for (const b of [...labels.slice(i + 1), ...nodes]) if (meet(a, b)) count += 1; });
        return count;
    }""")
    assert covered == 0


def test_markup_in_names_and_codes_stays_text(browser, kvinesdal, start_web):
    kvinesdal.sql.execute("UPDATE sidestream.sensor SET name = '<img src=x onerror=alert(1)>' WHERE id = 'basin-temp'")
    kvinesdal.scan("scan-gate", "<script>alert(1)</script>")
    page, complaints = open_page(browser, start_web(kvinesdal.dsn).url, ROOMY)
    page.locator("#sensors > summary").click()
    expect(page.locator("[data-sensor=basin-temp] .what")).to_contain_text("<img src=x")
    expect(page.locator("#scan-list")).to_contain_text("<script>")
    assert page.locator("main img, main script").count() == 0
    assert complaints == []


def test_a_lost_connection_is_said_with_its_time(browser, kvinesdal, start_process):
    web, process = start_process(kvinesdal.dsn)
    page = browser.new_page(viewport=PHONE, locale="nb-NO")
    page.goto(web.url)
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    process.terminate()
    process.wait(10)
    expect(page.locator("#connection")).to_contain_text("Mistet forbindelsen")
    expect(page.locator("#connection")).to_contain_text("for 3 s siden", timeout=8000)
    shoot(page, "lost")


def test_the_reference_page_lists_the_api(browser, small, start_web):
    web = start_web(small.dsn)
    page = browser.new_page(viewport=PHONE, locale="en-GB")
    page.goto(f"{web.url}/docs")
    paths = httpx.get(f"{web.url}/openapi.json").json()["paths"]
    expect(page.locator("article")).to_have_count(sum(len(methods) for methods in paths.values()))
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_page_of_a_hub_that_is_not_applied_says_so(browser, database, start_web):
    page, complaints = open_page(browser, start_web(database).url, PHONE, locale="nb-NO")
    expect(page.locator("#no-hub")).to_be_visible()
    expect(page.locator("#synthetic")).to_be_hidden()
    assert complaints == []


def test_a_zone_whose_name_is_its_abbreviation_is_named_once(browser, small, start_web):
    page = browser.new_page(timezone_id="UTC", locale="en-GB")
    page.goto(start_web(small.dsn).url)
    expect(page.locator("#zone")).to_have_text("Times shown in UTC")

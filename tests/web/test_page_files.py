"""What the page's files must hold, checked without a server."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from sidestream_twin.core.agreement import ReasonCode, Status

STATIC = Path(str(files("sidestream_web") / "static"))
SCRIPTS = sorted(STATIC.glob("*.js"))
TEXTS = {name: json.loads((STATIC / f"text.{name}.json").read_text("utf-8")) for name in ("nb", "en")}


def test_both_languages_have_the_same_keys_with_the_same_blanks():
    assert TEXTS["nb"].keys() == TEXTS["en"].keys()
    for key, text in TEXTS["nb"].items():
        assert text, key
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", TEXTS["en"][key])), key


def test_every_key_that_scripts_and_pages_use_is_in_the_dictionaries():
    used = set(re.findall(r'\bt\("([\w. ]+)"', "".join(path.read_text("utf-8") for path in SCRIPTS)))
    for page in ("index.html", "docs.html"):
        used |= set(re.findall(r'data-(?:text|label)="([\w.]+)"', (STATIC / page).read_text("utf-8")))
    assert used <= TEXTS["en"].keys()


def test_every_status_and_reason_of_an_agreement_has_words():
    assert {f"status.{status}" for status in Status} | {f"reason.{reason}" for reason in ReasonCode} <= TEXTS[
        "nb"
    ].keys()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_reads_data_as_markup_or_loads_from_elsewhere(path):
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "http:",
        "https:",
    ):
        assert forbidden not in text
    assert len(text.splitlines()) < 400


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text."""
    css = (STATIC / "style.css").read_text("utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]))
    pairs = [("ink", "card"), ("ink", "ground"), ("soft", "card"), ("soft", "ground"), ("link", "card"), ("soft", "shade"),
             ("good", "good-bg"), ("warn", "warn-bg"), ("bad", "bad-bg"), ("note", "note-bg"), ("on-brand", "brand"),
             ("on-banner", "banner"), ("rest", "card")]  # fmt: skip
    for front, back in pairs:
        light, dark = sorted((_luminance(colours[front]), _luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{front} on {back}"

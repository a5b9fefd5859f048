"""The page of faults names tests that are there, and every fault of the edge has one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
EDGE = {1, *range(8, 13), *range(14, 19), 25, *range(30, 33)}
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> dict[int, str]:
    found = {}
    for line in PAGE.splitlines():
        if numbers := re.match(r"\| (\d+(?:, \d+)*) \|", line):
            found.update(dict.fromkeys(map(int, numbers[1].split(", ")), line))
    return found


def test_every_fault_of_the_edge_has_a_test_of_its_own() -> None:
    assert {number for number, line in rows().items() if NAMED.search(line)} >= EDGE
    assert set(rows()) == set(range(1, 35))


def test_every_test_that_the_page_names_is_there() -> None:
    gone = [
        f"{file}::{name}"
        for file, name in NAMED.findall(PAGE)
        if not (ROOT / file).exists() or (name and f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8"))
    ]
    assert gone == []

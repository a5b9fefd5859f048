"""Every error that we define stands in one of the two trees: contracts' for all, and the twin's pure core's own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import sidestream_contracts

ROOT = Path(sidestream_contracts.__file__).parents[2]
ROOTS = {"contracts/sidestream_contracts/errors.py", "twin/sidestream_twin/core/errors.py"}
BUILTIN = {
    "Exception",
    "BaseException",
    "RuntimeError",
    "ValueError",
    "OSError",
    "KeyError",
    "TypeError",
    "LookupError",
}


CLASS_OF_A_BUILTIN = re.compile(rf"^\s*class \w+\([^)]*\b({'|'.join(BUILTIN)})\b", re.MULTILINE)
"""Such a class may stand in a file: only these are parsed, since parsing all of ours takes seconds."""


def test_no_error_of_ours_stands_beside_the_tree():
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in ROOT.glob("*/sidestream_*/**/*.py")
        if str(path.relative_to(ROOT)) not in ROOTS
        if CLASS_OF_A_BUILTIN.search(text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} <= BUILTIN and node.bases
    ]
    assert found == []

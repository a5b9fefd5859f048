"""Every error that we define stands in one of the two trees: contracts' for all, and the twin's pure core's own."""

from __future__ import annotations

import ast
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


def test_no_error_of_ours_stands_beside_the_tree():
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in ROOT.glob("*/sidestream_*/**/*.py")
        if str(path.relative_to(ROOT)) not in ROOTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} <= BUILTIN and node.bases
    ]
    assert found == []

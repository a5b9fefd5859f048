"""Writes the JSON that Grafana reads, always the same for the same code, and tells where the committed files differ."""

from __future__ import annotations

import json
from pathlib import Path

from sidestream_dashboards.alerts import alerts_json
from sidestream_dashboards.boards import DASHBOARDS
from sidestream_dashboards.render import dashboard_json
from sidestream_dashboards.source import ALERTS_FILE


def generate() -> dict[str, str]:
    """Every generated file, as path below `dashboards/generated` → text; byte for byte the same on each call."""
    made = {f"{board.folder}/{board.uid}.json": dashboard_json(board) for board in DASHBOARDS}
    return {name: _text(content) for name, content in (*made.items(), (ALERTS_FILE, alerts_json()))}


def write(out_dir: Path) -> list[str]:
    """`out_dir` holds exactly the generated files afterwards; returns the paths that changed, those removed included.

    Only `.json` files are removed.
    """
    changed = drift(out_dir)
    made = generate()
    for name in changed:
        path = out_dir / name
        if name in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def drift(out_dir: Path) -> list[str]:
    """The paths below `out_dir` that are missing, differ from what is generated, or that nothing generates any more."""
    made = generate()
    there = {path.relative_to(out_dir).as_posix() for path in out_dir.rglob("*.json")}
    differing = {name for name in made.keys() & there if (out_dir / name).read_text(encoding="utf-8") != made[name]}
    return sorted((made.keys() ^ there) | differing)


def _text(content: object) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

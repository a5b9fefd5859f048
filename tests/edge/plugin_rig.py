"""Packages of others for the tests: installed as an installer leaves them, with metadata and entry points."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from sidestream_contracts.edge_plugins import GROUP


def install(folder: Path, project: Path) -> None:
    """The project in `folder` as an installer leaves it: its modules, and metadata with its entry points."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = folder / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    points = [f"{name} = {value}" for name, value in about["entry-points"][GROUP].items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points, ""]))
    for package in project.glob("*/__init__.py"):
        shutil.copytree(package.parent, folder / package.parent.name, ignore=shutil.ignore_patterns("__pycache__"))


def third_party(site: Path, module: str, body: str) -> None:
    """A package of somebody else: one module, and an entry point `odd` that names its `plugin`."""
    project = site.parent / f"{module}-project"
    (project / module).mkdir(parents=True)
    (project / module / "__init__.py").write_text(body)
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "{module}"\nversion = "2.1"\n[project.entry-points."{GROUP}"]\nodd = "{module}:plugin"\n'
    )
    install(site, project)

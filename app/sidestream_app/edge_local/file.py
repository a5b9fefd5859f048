"""An `edge.yaml` as far as a look at its agent needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_contracts import yamlfile
from sidestream_contracts.edge import EdgeFile

EdgeYaml = Annotated[Path, Parameter(help="The edge.yaml of this gateway.")]
_ANY = "1"
"""Stands for what the environment of this shell does not have: the agent's may, and a look needs neither password nor port."""


class _Forgiving(dict[str, str]):
    def get(self, name: str, default: str | None = None, /) -> str:  # type: ignore[override]
        return super().get(name, _ANY if default is None else default)


def glance(path: Path) -> tuple[EdgeFile, Path]:
    """The file and its outbox; passwords and ports that only the agent's environment has are not asked for."""
    edge = yamlfile.load(path, EdgeFile, env=_Forgiving(os.environ))
    return edge, path.resolve().parent / edge.outbox.path

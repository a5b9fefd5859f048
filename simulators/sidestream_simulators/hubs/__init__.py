"""The example hubs that ship with Sidestream, each a `hub.yaml` and an `edge.yaml`. Every figure in them is synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.ids import nearest

_FOLDER = Path(__file__).parent
_FOLDERS = {"kvinesdal-like": "kvinesdal_like", "minimal": "minimal"}
EXAMPLES = tuple(_FOLDERS)
"""Ids of the example hubs."""


@dataclass(frozen=True, slots=True)
class ExampleHub:
    """Where the two files of an example hub are."""

    id: str
    hub_path: Path
    edge_path: Path


def example_hub(hub_id: str = "kvinesdal-like") -> ExampleHub:
    """The example hub with this id; ConfigurationError naming those that exist."""
    if hub_id not in _FOLDERS:
        guess = nearest(hub_id, EXAMPLES)
        hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(EXAMPLES)}."
        raise ConfigurationError(f"there is no example hub {hub_id!r}; {hint}")
    folder = _FOLDER / _FOLDERS[hub_id]
    return ExampleHub(hub_id, folder / "hub.yaml", folder / "edge.yaml")

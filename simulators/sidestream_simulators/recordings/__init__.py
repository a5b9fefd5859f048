"""Recorded files that Sidestream knows how to replay: a CSV is recognised by the columns of its header.

The files themselves stay where they lie. A recording's `hub.yaml` and `edge.yaml` find them through environment
variables, which `Recording.env` tells.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError

_FOLDER = Path(__file__).parent
TAG_MAP = "panels_epc_mapping.csv"
"""Name of the map of tags to panels that is looked for beside recorded RFID reads."""


@dataclass(frozen=True, slots=True)
class Recording:
    """How to replay one file: the hub and edge files, and what to set in the environment before they are loaded."""

    name: str
    hub_path: Path
    edge_path: Path
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    folder: str
    columns: frozenset[str]
    env: Callable[[Path, Path | None], dict[str, str]]


def _heat_meter(path: Path, tags: Path | None) -> dict[str, str]:
    if tags:
        raise ConfigurationError(f"{path}: is a recorded heat meter and has no tags; leave {tags} out.")
    return {"SIDESTREAM_RECORDING": str(path)}


def _rfid_portal(path: Path, tags: Path | None) -> dict[str, str]:
    beside = path.with_name(TAG_MAP)
    if tags is not None and not tags.is_file():
        raise ConfigurationError(f"{tags}: there is no such map of tags to panels.")
    found = tags or (beside if beside.is_file() else _FOLDER / "rfid_portal" / "no_tags.csv")
    return {"SIDESTREAM_RECORDING": str(path), "SIDESTREAM_TAGS": str(found.resolve())}


KINDS = (
    _Kind(
        "heat-meter",
        "heat_meter",
        frozenset(
            {"time_rounded", "energy_heat_kwh", "volume_flow_m3", "inlet_flow_energy_m3xC", "back_flow_energy_m3xC"}
        ),
        _heat_meter,
    ),
    _Kind("rfid-portal", "rfid_portal", frozenset({"milliseconds", "epc", "rssi"}), _rfid_portal),
)


def recognise(path: Path, tags: Path | None = None) -> Recording:
    """How to replay the CSV at `path`; further columns are ignored.

    `tags` overrides the map of tags to places that lies beside RFID reads; without either, every place is unknown.
    Raises ConfigurationError for a file that can't be read or whose header is of no known kind, and lists those.
    """
    header = _header(path)
    for kind in KINDS:
        if kind.columns <= header:
            folder = _FOLDER / kind.folder
            env = kind.env(path.resolve(), tags)
            return Recording(kind.name, folder / "hub.yaml", folder / "edge.yaml", env)
    known = "; ".join(f"{kind.name} has {', '.join(sorted(kind.columns))}" for kind in KINDS)
    raise ConfigurationError(
        f"{path}: its header ({', '.join(sorted(header)) or 'empty'}) is of no recording known here. Known: {known}."
    )


def _header(path: Path) -> frozenset[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return frozenset(column.strip() for column in next(csv.reader(file), []) if column.strip())
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: is no CSV in UTF-8.") from error

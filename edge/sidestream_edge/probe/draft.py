"""A draft of `edge.yaml` from what a probe found: well-formed as it is, with a comment wherever somebody has to decide."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError

PLACEHOLDER = "change-me"


@dataclass(frozen=True, slots=True)
class Head:
    """Who the gateway is; what is not known stands as a placeholder that says so."""

    hub: str = PLACEHOLDER
    party: str = PLACEHOLDER
    device: str = "gw1"
    broker_host: str = "127.0.0.1"


def edge_yaml(head: Head, found: Iterable[str], drivers: Sequence[str]) -> str:
    """The file's text: `found` as comments at its top, then the sections of `drivers`, each a YAML list item in itself."""
    return "\n".join(
        [
            "# A draft by `sidestream edge probe`. Go through it: ids, units and what each value is, only you know.",
            *(f"# {line}" for line in found),
            "version: 1",
            f"hub: {_named(head.hub, 'hub.yaml: hub.id')}",
            f"party: {_named(head.party, 'hub.yaml: one of parties')}",
            f"device: {_named(head.device, 'hub.yaml: one of devices')}",
            f"broker: {{host: {head.broker_host}}}",
            "drivers:",
            *drivers,
            "",
        ]
    )


def _named(value: str, where: str) -> str:
    return f"{value}  # as in {where}" if value == PLACEHOLDER else value


def write_draft(path: Path, text: str, *, overwrite: bool = False) -> None:
    """The file, whole or not at all; ConfigurationError where there is one already and `overwrite` does not say otherwise."""
    if path.exists() and not overwrite:
        raise ConfigurationError(
            f"{path} is there already and is left as it is; name another file, or say --overwrite."
        )
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8"
        ) as new:
            new.write(text)
        Path(new.name).chmod(0o644)
        Path(new.name).replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror or error}.") from error

"""A port that is taken, told so that the reader can choose another: which one, and what sets it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def port_in_use(edge_path: Path, host: str, port: int, what: str) -> ConfigurationError:
    """The error for a port of `edge_path` that can't be listened on; names the environment variable that sets it."""
    names = [
        name
        for name, default in _VARIABLE.findall(edge_path.read_text(encoding="utf-8"))
        if os.environ.get(name, default) == str(port)
    ]
    way_out = f"set {names[0]} to a free port" if names else f"write a free port in {edge_path}"
    return ConfigurationError(
        f"{what} port {port} on {host} can't be listened on (another program has it?); {way_out}, "
        "for the simulator and the edge agent alike."
    )

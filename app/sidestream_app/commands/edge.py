"""`sidestream edge check` and `sidestream edge run`."""

from __future__ import annotations

import json
from pathlib import Path

from sidestream_app.commands.options import AsJson
from sidestream_contracts.edge import load_edge, sensor_ids


def check(file: Path, /, *, as_json: AsJson = False) -> int:
    """Check an `edge.yaml` without connecting to anything (exit code 2 with every mistake).

    Parameters
    ----------
    file
        The edge.yaml to check.
    """
    edge = load_edge(file)
    drivers = {driver.id: len(sensor_ids(driver)) for driver in edge.drivers}
    if as_json:
        print(json.dumps({"file": str(file), "device": edge.device, "ok": True, "drivers": drivers}))
    else:
        listed = ", ".join(f"{name} ({count} sensors)" for name, count in drivers.items())
        print(f"{file}: device {edge.device!r} of {edge.party!r} is well-formed; drivers: {listed}.")
    return 0


def run(file: Path, /) -> int:
    """Run the agent until SIGTERM or Ctrl-C.

    Parameters
    ----------
    file
        The edge.yaml of this gateway.
    """
    from sidestream_edge.agent import serve

    return serve(file)

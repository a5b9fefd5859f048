"""`sidestream simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def simulate(
    *,
    hub: Annotated[Path | None, Parameter(help="hub.yaml; an example hub where not given.")] = None,
    edge: Annotated[Path | None, Parameter(help="edge.yaml whose Modbus devices and scanners are simulated.")] = None,
    example: Annotated[str, Parameter(help="Which example hub: kvinesdal-like or minimal.")] = "kvinesdal-like",
    seed: Annotated[int, Parameter(help="Fixes the plant and its meters' errors.")] = 1,
    truth: Annotated[Path, Parameter(help="Where the hidden truth is written, as JSON lines.")] = Path("truth.jsonl"),
    speed: Annotated[float, Parameter(help="Hastens the plant's slow swings.")] = 1.0,
    bind_host: Annotated[str | None, Parameter(help="Listen here instead of the host that edge.yaml names.")] = None,
) -> int:
    """Stand in for the hardware of an example hub: real Modbus TCP servers and scanners, meters with declared errors.

    All figures are synthetic. Runs until SIGTERM or Ctrl-C.
    """
    from sidestream_simulators.hubs import example_hub
    from sidestream_simulators.serve import serve

    files = example_hub(example)
    return serve(hub or files.hub_path, edge or files.edge_path, seed, truth, speed, bind_host=bind_host)

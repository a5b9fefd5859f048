"""`sidestream simulate`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_contracts.errors import ConfigurationError

_BIAS = re.compile(r"([a-z][a-z0-9_-]*)=([+-]?\d+(?:\.\d+)?)\s*(?:sd)?")


def simulate(
    *,
    hub: Annotated[Path | None, Parameter(help="hub.yaml; an example hub where not given.")] = None,
    edge: Annotated[Path | None, Parameter(help="edge.yaml whose Modbus devices and scanners are simulated.")] = None,
    example: Annotated[str, Parameter(help="Which example hub: kvinesdal-like or minimal.")] = "kvinesdal-like",
    seed: Annotated[int, Parameter(help="Fixes the plant and its meters' errors.")] = 1,
    truth: Annotated[Path, Parameter(help="Where the hidden truth is written, as JSON lines.")] = Path("truth.jsonl"),
    speed: Annotated[float, Parameter(help="Hastens the plant's slow swings.")] = 1.0,
    bias: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="Make a meter wrong: SENSOR=9sd, of its class (limit/√3); may be repeated."),
    ] = (),
    bind_host: Annotated[str | None, Parameter(help="Listen here instead of the host that edge.yaml names.")] = None,
) -> int:
    """Stand in for the hardware of an example hub: real Modbus TCP servers and scanners, meters with declared errors.

    All figures are synthetic. Runs until SIGTERM or Ctrl-C. With `--bias net-intake-flow=9sd` one can watch
    `sidestream twin balance` name the meter.
    """
    from sidestream_simulators.hubs import example_hub
    from sidestream_simulators.serve import serve

    files = example_hub(example)
    biases = dict(_bias(text) for text in bias)
    return serve(hub or files.hub_path, edge or files.edge_path, seed, truth, speed, bind_host=bind_host, biases=biases)


def _bias(text: str) -> tuple[str, float]:
    match = _BIAS.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"--bias {text!r}: write the sensor and how many deviations, e.g. net-intake-flow=9sd."
        )
    return match[1], float(match[2])

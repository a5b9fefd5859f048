"""`sidestream demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.duration import seconds_of
from sidestream_app.commands.options import AsJson
from sidestream_contracts.errors import ConfigurationError

_QUICK_S = 15.0
_INTERRUPTED = 130


def demo(
    *,
    duration: Annotated[
        str | None, Parameter(name="--for", help="End by itself after this long, e.g. 60s or 5m.")
    ] = None,
    quick: Annotated[bool, Parameter(negative=(), help="The same as --for 15s.")] = False,
    as_json: AsJson = False,
    kill: Annotated[
        str, Parameter(help="kill -9 these at random moments: ingest,broker,edge,postgres,web,flows.")
    ] = "",
    fresh: Annotated[bool, Parameter(negative=(), help="Throw away the data of earlier runs.")] = False,
    seed: Annotated[int, Parameter(help="Fixes the simulated plant, its meters' errors and the kills.")] = 1,
    home: Annotated[Path, Parameter(name="--dir", help="Where data and logs lie.")] = Path(".sidestream/demo"),
    web_port: Annotated[int, Parameter(help="Port of the live page; 0 for any free one.")] = 8080,
    prefect_port: Annotated[int, Parameter(help="Port of the Prefect server; 0 for any free one.")] = 4200,
    broker_port: Annotated[int, Parameter(help="Port of the MQTT broker; 0 for any free one.")] = 18830,
) -> int:
    """The whole product on this machine: embedded PostgreSQL and broker, simulated plant, edge agent, ingest, flows, web.

    Runs until Ctrl-C, or with `--for` ends by itself and tells what was sent, committed, lost and doubled, how late
    readings were, and how far the twin is from the simulated truth. Exit code 1 if anything was lost or doubled, 130 if a
    timed run was interrupted.
    All figures are synthetic.
    """
    from sidestream_app.demo import measure
    from sidestream_app.demo.run import Options, run

    seconds = seconds_of(duration) if duration else _QUICK_S if quick else None
    targets = tuple(name.strip() for name in kill.split(",") if name.strip())
    if targets and seconds is None:
        raise ConfigurationError("--kill needs --for: kills fall at random moments of a timed run.")
    options = Options(home, seconds, fresh, targets, seed, web_port, prefect_port, broker_port, as_json)
    summary = run(options)
    if summary is None:
        return 0 if seconds is None else _INTERRUPTED
    print(measure.as_json(summary) if as_json else measure.as_text(summary))
    return 1 if summary["lost"] or summary["doubled"] else 0

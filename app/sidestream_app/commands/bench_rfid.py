"""`sidestream bench rfid`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.bench import Quick
from sidestream_app.commands.options import AsJson
from sidestream_contracts.errors import ConfigurationError


def rfid(
    *,
    quick: Quick = False,
    portal: Annotated[
        Path | None,
        Parameter(
            env_var="SIDESTREAM_RFID_PORTAL",
            help="Folder with the reads.csv of a recorded portal; left out: only simulated ones.",
        ),
    ] = None,
    plot: Annotated[Path | None, Parameter(help="Write both curves here, as SVG.")] = None,
    as_json: AsJson = False,
) -> int:
    """Measure how late a tag's leaving is told against how often it is told wrongly: SMURF, and fixed windows of 0.2 to 20 s.

    On simulated portals it is known what happened: a leave told of a tag that is still there is a phantom. SMURF must lie on
    or below the curve of the fixed windows, two standard deviations of the counts allowed. On a recorded portal, where
    nobody knows, a leave counts as a phantom that a later read takes back. Everything is seeded: the same numbers each time.
    Three minutes on one core. Exit code 1 if SMURF lies above the curve.
    """
    from sidestream_app.bench.rfid.plot import svg
    from sidestream_app.bench.rfid.run import bench_rfid, lines, ok

    found = bench_rfid(portal, lambda line: print(line, file=sys.stderr, flush=True), quick=quick)
    if as_json:
        print_json(found)
    else:
        print("\n".join(lines(found)))
    if plot is not None:
        try:
            plot.write_text(svg(found["scenes"]), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{plot} can't be written: {error.strerror or error}.") from error
    return 0 if ok(found) else 1

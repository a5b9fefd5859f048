"""`sidestream dashboards write` and `sidestream dashboards check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson, Dsn


def write(folder: Path = Path("dashboards/generated"), /) -> int:
    """Write the dashboards and alert rules as JSON for Grafana's provisioning; tells what changed.

    Parameters
    ----------
    folder
        Where to write; files there that no dashboard makes are removed.
    """
    from sidestream_dashboards.generate import write as run

    for path in run(folder) or ["nothing changed"]:
        print(path)
    return 0


def check(
    *,
    dsn: Dsn,
    filled: Annotated[
        bool,
        Parameter(negative="--may-be-empty", help="Every panel must have something to show, as with a filled hub."),
    ] = True,
    as_json: AsJson = False,
) -> int:
    """Run every panel's and alert's SQL against a database, macros expanded as Grafana does, as the viewer role.

    Compares columns and types with what each panel needs, and looks for mistakes in the JSON. Exit code 1 if any.
    """
    from sidestream_dashboards.check import check as run

    report = run(dsn, filled=filled)
    found = report.as_json()
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for problem in report.failed:
            print(problem, file=sys.stderr)
        print(f"{found['panels']} panels, {found['alerts']} alert rules, {len(report.failed)} problems.")
    return 0 if report.ok else 1

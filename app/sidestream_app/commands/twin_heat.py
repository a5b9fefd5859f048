"""`sidestream twin heat`."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.errors import ConfigurationError

_HOURS = {"h": 1, "d": 24, "w": 168}


def heat(
    *,
    dsn: Dsn,
    from_: Annotated[
        str | None, Parameter(name="--from", help="First time; without an offset in the hub's zone.")
    ] = None,
    to: Annotated[str | None, Parameter(name="--to", help="End, not included; default: now.")] = None,
    last: Annotated[str | None, Parameter(help="Instead of --from: so long until the end: 24h, 7d, 4w.")] = None,
    as_json: AsJson = False,
) -> int:
    """What became of the heat: supplied, usable, used, dumped and lost, from what the running hub has stored.

    For each exchange of heat between parties the energies ± one standard deviation and how well the need was met; for each
    pipe what it loses by design and by its meters; for each exchanger UA and effectiveness; for each heat pump its COP;
    for each meter whether its register agrees with flow and temperatures. What isn't known is said with the reason. By
    default the last 24 hours. Times are widened to whole buckets, a quarter of an hour or more. docs/heat.md explains the
    words and what to write into hub.yaml for more of it. With --json in SI units.
    """
    from sidestream_app.heat.live_text import report_lines
    from sidestream_contracts.times import understood
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_twin.heat_report.load import load_heat_report

    if from_ and last:
        raise ConfigurationError("--from and --last both say where the time begins; give one of them.")
    now_at = datetime.now(UTC)
    with open_connection(dsn, "heat", autocommit=True) as connection:
        zone = zone_of(connection)
        to_at = understood(to, zone, "--to") if to else now_at
        from_at = understood(from_, zone, "--from") if from_ else to_at - _length(last or "24h")
        report = load_heat_report(connection, from_at, to_at, now_at)
    if as_json:
        print_json(asdict(report))
    else:
        print("\n".join(report_lines(report)))
    return 0


def _length(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})\s*([hdw])", text.strip())
    if not found or not int(found[1]):
        raise ConfigurationError(f"--last is {text!r}; write a number of hours, days or weeks: 24h, 7d, 4w.")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])

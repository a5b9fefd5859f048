"""`sidestream twin update|reconcile|stocks|agreements`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn


def update(*, dsn: Dsn, as_json: AsJson = False) -> int:
    """Recompute whatever is dirty, in bounded passes, until nothing is; safe to run beside the flows process."""
    from sidestream_twin.update import update_until_clean

    report = update_until_clean(dsn, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(report.as_dict()) if as_json else report)
    return 0


def reconcile(file: Path, /, *, as_json: AsJson = False) -> int:
    """Bring the meters of a network together, and name those that can't be right.

    Prints per stream the reconciled value with its standard deviation, its class (redundant, non-redundant, observable,
    unobservable, fixed), adjustability, detectability, the measurement test, and the bias that it finds in 9 of 10
    cases; then the global test, suspects with their bias, possible leaks, and what can't be known. What it all means:
    docs/reconciliation.md. A suspect is a finding: exit code 0. A file that makes no sense: 2, with a sentence.

    Parameters
    ----------
    file
        JSON: {"streams": [{"id", "from", "to", "measured", "sd"}], "nodes": [...], "level": 0.05}, all in one unit.
        measured null: no meter; sd 0: exact; from or to null: the outside; level: probability of a false alarm. Also
        understood: "unit" and "name", shown again; "nonnegative": true, or "bounds": [low, high] of a stream (null: none),
        since without them a flow may turn round; "sd_systematic" of a stream, added in quadrature.
    """
    from sidestream_app.problem_file import blamed_on, read_problem
    from sidestream_app.reconcile.network_file import NetworkFile, network_problems
    from sidestream_app.reconcile.network_report import as_dict
    from sidestream_app.reconcile.network_text import as_text
    from sidestream_twin.core.reconcile import diagnose

    problem = read_problem(file, NetworkFile, network_problems)
    with blamed_on(file):
        found = diagnose(problem.system(), problem.level)
    print(json.dumps(as_dict(found, problem), ensure_ascii=False) if as_json else as_text(found, problem))
    return 0


def stocks(*, dsn: Dsn, as_json: AsJson = False) -> int:
    """What lies in each stock, what its instruments are believed to read too much, and when it overflows or runs dry.

    A forecast rests on how the flows went lately, on what is agreed and on what is planned to stand still (docs/stocks.md).
    """
    from sidestream_app.judged_text import forecast_line
    from sidestream_contracts.times import shown
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.read.judged import stocks_with_forecasts

    with open_connection(dsn, "twin", autocommit=True) as connection:
        rows, zone = stocks_with_forecasts(connection), zone_of(connection)
    if as_json:
        print_json({"stocks": rows})
        return 0
    for row in rows:
        known = "not known"
        if row["mass_kg"] is not None:
            stale = ", STALE" if row["stale"] else ""
            known = (
                f"{row['mass_kg']:.0f} ± {2 * row['sd_kg']:.0f} kg, {row['origin']}{stale}, {shown(row['time'], zone)}"
            )
        print(f"{row['node']} ({row['name']}): {known}")
        for flag in (flag for flag in row["flags"] or () if ":" in flag):
            print(f"  {flag.replace(':', ': ')}")
        for bias in row["biases"]:
            print(f"  {bias['source']}: bias {bias['bias']:+.2f} ± {2 * bias['sd']:.2f} of its standard deviation")
        for forecast in row["forecasts"]:
            print(forecast_line(forecast, zone))
    return 0


def agreements(*, dsn: Dsn, as_json: AsJson = False) -> int:
    """How each agreement stands in its running period, why, and what that rests on (docs/agreements.md)."""
    from sidestream_app.judged_text import agreement_lines
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.read.judged import agreements_with_evidence

    with open_connection(dsn, "twin", autocommit=True) as connection:
        rows, zone = agreements_with_evidence(connection), zone_of(connection)
    if as_json:
        print_json({"agreements": rows})
    else:
        lines = [line for row in rows for line in agreement_lines(row, zone)]
        print("\n".join(lines) or "No agreement was judged yet.")
    return 0

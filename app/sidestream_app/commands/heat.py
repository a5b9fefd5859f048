"""`sidestream heat targets|match|reconcile`."""

from __future__ import annotations

import json
from pathlib import Path

from sidestream_app.commands.options import AsJson


def targets(file: Path, /, *, as_json: AsJson = False) -> int:
    """The least heating and cooling that streams need once they give each other all the heat they can.

    Parameters
    ----------
    file
        JSON: {"streams": [{"id", "t_in_c", "t_out_c", "cp_kw_k"}], "dt_min_k"}. Instead of cp_kw_k a stream may have
        duty_kw; one that condenses or boils has t_in_c equal to t_out_c, duty_kw and kind ("hot" or "cold").
    """
    from sidestream_app.heat.streams_file import TargetsFile, stream_problems
    from sidestream_app.heat.targets_report import as_dict, as_text
    from sidestream_app.problem_file import blamed_on, read_problem
    from sidestream_twin.core.heat.targets import heat_targets

    problem = read_problem(file, TargetsFile, lambda found: stream_problems(found.streams))
    with blamed_on(file):
        streams = [part.heat_stream() for part in problem.streams]
        found = heat_targets(streams, problem.dt_min_k)
    if as_json:
        print(json.dumps(as_dict(found, streams, problem.dt_min_k), ensure_ascii=False))
    else:
        print(as_text(found, streams, problem.dt_min_k))
    return 0

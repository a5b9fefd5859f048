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


def reconcile(file: Path, /, *, as_json: AsJson = False) -> int:
    """Flows, temperatures and heats of a network that close every balance of mass and energy and move the meters least.

    Tells what no meter reads, which meter disagrees, and which can't be checked. docs/heat.md has the file's format,
    with a district-heating network as example.

    Parameters
    ----------
    file
        JSON: {"streams": [{"id", "from", "to", "fluid", "flow", "flow_sd", "temperature", "temperature_sd"}],
        "nodes": [{"id", "kind", …}], "fluids": […], "units": {…}}. Kinds of node: mixer, splitter, exchanger, pipe,
        consumer, producer. What is not measured is left out.
    """
    from sidestream_app.heat.network_file import NetworkFile, network_problems
    from sidestream_app.heat.network_model import network_of
    from sidestream_app.heat.network_report import Report
    from sidestream_app.heat.units import Scales
    from sidestream_app.problem_file import blamed_on, read_problem
    from sidestream_twin.core.energy_reconcile import reconcile_energy

    problem = read_problem(file, NetworkFile, network_problems)
    scales = Scales.of(problem.units)
    with blamed_on(file):
        report = Report.of(problem, scales, reconcile_energy(network_of(problem, scales)))
    print(json.dumps(report.as_dict(), ensure_ascii=False) if as_json else report.as_text())
    return 0


def match(file: Path, /, *, as_json: AsJson = False) -> int:
    """Whose waste heat could serve whose need: heat that would arrive, distance, loss, hours a year; best first.

    Parameters
    ----------
    file
        JSON as of `heat targets`; streams may also have party, place, hours_per_year or profile_kw (a list, one number
        for each step of step_h hours). Beside them: "places": [{"id", "x_m", "y_m"} or {"id", "lat", "lon"}], "routes":
        [{"from", "to", "length_m"}], "route_factor", "ground", "most".
    """
    from sidestream_app.heat.match_file import MatchFile, match_problems
    from sidestream_app.heat.match_report import as_dict, as_text
    from sidestream_app.problem_file import blamed_on, read_problem
    from sidestream_twin.core.heat.matching import matches

    problem = read_problem(file, MatchFile, match_problems)
    with blamed_on(file):
        found = matches(problem.offers(), problem.lengths_m(), problem.laid())
    print(json.dumps(as_dict(found, problem), ensure_ascii=False) if as_json else as_text(found, problem))
    return 0

"""`sidestream heat`: published problems through files, as another program would give them; nonsense gets a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import heat_networks
import pytest

from sidestream_app import cli
from sidestream_contracts.errors import SidestreamError

LINNHOFF = {
    "streams": [
        {"id": "1", "t_in_c": 150, "t_out_c": 60, "cp_kw_k": 2},
        {"id": "2", "t_in_c": 90, "t_out_c": 60, "cp_kw_k": 8},
        {"id": "3", "t_in_c": 20, "t_out_c": 125, "cp_kw_k": 2.5},
        {"id": "4", "t_in_c": 25, "t_out_c": 100, "cp_kw_k": 3},
    ],
    "dt_min_k": 20,
}


@pytest.fixture
def heat(tmp_path, capsys):
    """Runs `sidestream heat COMMAND FILE …` on a problem; returns exit code, stdout, and what is wrong in words."""

    def run(command, problem, *options):
        path = tmp_path / "problem.json"
        if problem is not None:
            path.write_text(problem if isinstance(problem, str) else json.dumps(problem), encoding="utf-8")
        try:
            code = cli.app(["heat", command, str(path), *options], result_action="return_value")
        except SidestreamError as error:
            return cli.exit_code(error), capsys.readouterr().out, str(error)
        return code, capsys.readouterr().out, ""

    return run


def changed(problem, **changes):
    """The problem with its first stream changed; a value of None takes the key away."""
    first = {**problem["streams"][0], **changes}
    first = {key: value for key, value in first.items() if value is not None}
    return {**problem, "streams": [first, *problem["streams"][1:]]}


def test_linnhoffs_problem_prints_the_published_targets(heat):
    code, out, err = heat("targets", LINNHOFF, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["hot_utility_kw"], found["cold_utility_kw"], found["pinch_shifted_c"]) == (107.5, 40.0, 80.0)
    assert found["composite"]["hot"][-1] == {"t_c": 150.0, "heat_kw": 420.0}
    assert found["composite"]["cold"][0] == {"t_c": 20.0, "heat_kw": 40.0}
    assert {"t_shifted_c": 80.0, "heat_kw": 0.0} in found["composite"]["grand"]


def test_people_are_told_the_same_in_words(heat):
    code, out, _ = heat("targets", LINNHOFF)
    assert code == 0
    assert "least hot utility  107.500 kW" in out
    assert "pinch at 80 °C shifted: hot 90 °C, cold 70 °C" in out


def test_a_threshold_problem_has_a_null_pinch_and_numbers_may_be_ids(heat):
    problem = {"streams": [{"id": 7, "t_in_c": 100, "t_out_c": 50, "cp_kw_k": 1}], "dt_min_k": 10}
    found = json.loads(heat("targets", problem, "--json")[1])
    assert found["pinch_shifted_c"] is None
    assert found["threshold"] is True
    assert found["streams"][0]["id"] == "7"


def test_what_condenses_is_given_by_its_duty(heat):
    problem = changed(LINNHOFF, t_in_c=150, t_out_c=150, cp_kw_k=None, duty_kw=180, kind="hot")
    found = json.loads(heat("targets", problem, "--json")[1])
    assert found["streams"][0] == {"id": "1", "kind": "hot", "duty_kw": 180.0, "isothermal": True}
    assert found["hot_utility_kw"] <= 107.5


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "must be one JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"streams": [], "dt_min_k": NaN}', "NaN is no number"),
        ('{"dt_min_k": 1, "dt_min_k": 2}', "stands twice"),
        ({"streams": [], "dt_min_k": 10}, "streams: must not be empty"),
        ({**LINNHOFF, "dt_min_k": -1}, "must be at least 0"),
        ({"streams": LINNHOFF["streams"]}, "dt_min_k: is missing"),
        ({**LINNHOFF, "dtmin": 1}, "did you mean 'dt_min_k'"),
        (changed(LINNHOFF, t_in_c="150"), "must be a number, and is '150'"),
        (changed(LINNHOFF, cp_kw_k=0), "must be above 0"),
        (changed(LINNHOFF, cp_kw_k=True), "must be a number"),
        (changed(LINNHOFF, t_in_c=-300), "must be above -273.15"),
        (changed(LINNHOFF, id="2"), "another stream has this id"),
        (changed(LINNHOFF, duty_kw=5), "one of the two"),
        (changed(LINNHOFF, cp_kw_k=None), "one of the two"),
        (changed(LINNHOFF, kind="cold"), "hot streams cool"),
        (changed(LINNHOFF, t_in_c=60), "give duty_kw and kind"),
        (changed(LINNHOFF, t_in_c=60, cp_kw_k=None, duty_kw=3), "say with kind"),
    ],
    ids=lambda given: given[:30] if isinstance(given, str) else "",
)
def test_nonsense_is_refused_with_a_sentence_and_exit_code_2(heat, problem, sentence):
    code, out, err = heat("targets", problem, "--json")
    assert (code, out) == (2, "")
    assert sentence in err


def test_a_file_that_is_not_there_is_said_so(heat):
    code, _, err = heat("targets", None)
    assert code == 2
    assert "can't be read: No such file" in err


def test_swartz_network_prints_the_published_optimum(heat):
    code, out, _ = heat("reconcile", heat_networks.swartz_file(), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["objective"] == pytest.approx(14.797, abs=5e-4)
    streams = {stream["id"]: stream for stream in found["streams"]}
    for name, published in heat_networks.SWARTZ_FOUND.items():
        kind, stream = name.split(" of ")
        assert streams[stream][kind]["reconciled"] == pytest.approx(published, abs=0.0051), name
    assert found["global_test"]["passed"] is False
    assert found["suspect"] == "temperature of A7"
    assert streams["A7"]["temperature"]["suspect"] is True
    assert streams["B1"]["flow"]["class"] == "non-redundant"
    assert streams["B1"]["flow"]["detectability"] == 0


def test_people_see_each_quantity_with_its_unit_and_the_verdict(heat):
    code, out, _ = heat("reconcile", heat_networks.swartz_file())
    assert code == 0
    assert "Suspect: the temperature of A7" in out
    assert "963.633" in out
    assert "kg/s" in out


PIPE = {
    "streams": [
        {"id": "in", "to": "p", "flow": 7.2, "flow_sd": 0.07, "temperature": 80, "temperature_sd": 0.1},
        {"id": "out", "from": "p", "temperature": 78, "temperature_sd": 0.1},
    ],
    "nodes": [{"id": "p", "kind": "pipe", "length_m": 1000, "ambient": 8}],
    "units": {"flow": "t/h"},
}


LONG_PIPE = {
    "temperature_sd": 0.1,
    "flow_sd_pct": 1,
    "streams": [
        {"id": "in", "to": "pipe", "flow": 1, "temperature": 80},
        {"id": "out", "from": "pipe", "temperature": 78},
    ],
    "nodes": [{"id": "pipe", "kind": "pipe", "length_m": 1000, "ambient": 8}],
}


@pytest.mark.parametrize(("outlet", "said"), [(78, False), (82, True)])
def test_a_pipe_that_warms_up_in_the_cold_is_said_to_be_impossible(heat, outlet, said):
    inlet, last = LONG_PIPE["streams"]
    found = json.loads(
        heat("reconcile", {**LONG_PIPE, "streams": [inlet, {**last, "temperature": outlet}]}, "--json")[1],
    )
    assert (found["nodes"][0]["u_w_mk"]["reconciled"] < 0) is said
    assert any("pipe pipe would gain heat from colder surroundings" in note for note in found["notes"]) is said


@pytest.mark.parametrize(
    ("hot", "cold", "sentences"),
    [
        ((90, 60), (20, 50), []),
        ((40, 30), (35, 45), ["warm a stream to 45 degC with nothing above 40 degC", "cool a stream to 30 degC"]),
    ],
)
def test_an_exchanger_in_which_heat_flows_uphill_is_said_to_be_impossible(heat, hot, cold, sentences):
    problem = {
        "temperature_sd": 0.1,
        "flow_sd_pct": 1,
        "fluids": [{"id": "oil", "kind": "polynomial", "coefficients": [0, 2]}],
        "streams": [
            {"id": "a", "to": "x", "fluid": "oil", "flow": 1, "temperature": hot[0]},
            {"id": "b", "from": "x", "fluid": "oil", "temperature": hot[1]},
            {
                "id": "c",
                "to": "x",
                "fluid": "oil",
                "flow": (hot[0] - hot[1]) / (cold[1] - cold[0]),
                "temperature": cold[0],
            },
            {"id": "d", "from": "x", "fluid": "oil", "temperature": cold[1]},
        ],
        "nodes": [{"id": "x", "kind": "exchanger", "sides": [{"in": "a", "out": "b"}, {"in": "c", "out": "d"}]}],
    }
    notes = json.loads(heat("reconcile", problem, "--json")[1])["notes"]
    uphill = [note for note in notes if "which can't be" in note]
    assert len(uphill) == len(sentences)
    assert all(sentence in note for sentence, note in zip(sentences, uphill, strict=True))


def test_the_loss_of_a_pipe_follows_from_its_ends_in_the_units_asked_for(heat):
    found = json.loads(heat("reconcile", PIPE, "--json")[1])
    pipe = found["nodes"][0]
    assert pipe["loss"]["reconciled"] == pytest.approx(2 * 4.196 * 2, rel=2e-3)
    assert pipe["u_w_mk"]["reconciled"] == pytest.approx(2 * 4196 * 0.02817 / 1000, rel=2e-3)
    assert pipe["u_w_mk"]["sd"] == pytest.approx(0.1 * 2**0.5 * 2 * 4196 / 71 / 1000, rel=0.03)
    assert found["streams"][0]["flow"]["reconciled"] == pytest.approx(7.2)


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (changed(PIPE, flow_sd=None), "how well is not said"),
        (changed(PIPE, flow_sd=-1), "must be at least 0"),
        (changed(PIPE, fluid="watr"), "did you mean 'water'"),
        (changed(PIPE, to="q"), "names node 'q'"),
        (changed(PIPE, flow_sd_pct=1), "not both"),
        (changed(PIPE, flow=0, flow_sd=None, flow_sd_pct=1), "would be exact"),
        (changed(PIPE, temperature=-400), "there is no water"),
        (changed(PIPE, temperature=None), "leave both out"),
        ({**PIPE, "units": {"flow": "furlong"}}, "allowed: kg/s"),
        ({**PIPE, "nodes": [{"id": "p", "kind": "pype"}]}, "did you mean 'pipe'"),
        ({**PIPE, "nodes": [{**PIPE["nodes"][0], "u_w_mk": 0.2}]}, "needs its value and its deviation"),
        ({**PIPE, "nodes": PIPE["nodes"] * 2}, "given twice"),
        ({**PIPE, "streams": [*PIPE["streams"], {"id": "x", "to": "p"}]}, "2 streams in"),
        ({**PIPE, "level": 1.5}, "must be below 1"),
        (changed(changed(PIPE, flow_sd=0), temperature_sd=0, temperature=1e9), "there is no water"),
    ],
    ids=lambda given: given[:30] if isinstance(given, str) else "",
)
def test_a_network_that_makes_no_sense_is_refused_with_a_sentence(heat, problem, sentence):
    code, out, err = heat("reconcile", problem, "--json")
    assert (code, out) == (2, "")
    assert sentence in err


MATCH = {
    "dt_min_k": 10,
    "streams": [
        {"id": "cooling", "party": "smelter", "place": "f", "t_in_c": 32, "t_out_c": 22, "duty_kw": 9000, "hours_per_year": 8000},
        {"id": "tanks", "party": "farm", "place": "q", "t_in_c": 8, "t_out_c": 18, "duty_kw": 2500},
    ],
    "places": [{"id": "f", "x_m": 0, "y_m": 0}, {"id": "q", "x_m": 900, "y_m": 0}],
}  # fmt: skip


def test_dumped_heat_is_matched_with_a_need_and_its_assumptions_are_said(heat):
    code, out, _ = heat("match", MATCH, "--json")
    found = json.loads(out)
    assert code == 0
    (candidate,) = found["candidates"]
    assert candidate["delivered_kw"] == pytest.approx(2500)
    assert candidate["length_m"] == pytest.approx(900 * 1.3)
    assert candidate["whole_h_per_year"] == [8000, 8000]
    assert candidate["energy_mwh_per_year"] == [20000, 20000]
    assert candidate["loss_kw"] > 0
    assert "would cover that demand for 8,000 h/yr" in candidate["sentence"]
    assert any("all year" in line for line in found["assumptions"])


def test_degrees_give_a_distance_and_a_route_beats_the_straight_line(heat):
    places = [{"id": "f", "lat": 58.0, "lon": 7.0}, {"id": "q", "lat": 58.0, "lon": 7.1}]
    degrees = json.loads(heat("match", {**MATCH, "places": places, "route_factor": 1}, "--json")[1])
    assert degrees["candidates"][0]["length_m"] == pytest.approx(111_195 * 0.1 * 0.52992, rel=1e-3)
    routes = [{"from": "q", "to": "f", "length_m": 1234}]
    routed = json.loads(heat("match", {**MATCH, "routes": routes}, "--json")[1])
    assert routed["candidates"][0]["length_m"] == 1234


def test_without_a_place_nothing_is_taken_off_and_that_is_said(heat):
    code, out, _ = heat("match", changed(MATCH, place=None))
    assert code == 0
    assert "unknown distance (no loss taken off)" in out
    assert "nothing is taken off for the way" in out


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (changed(MATCH, place="g"), "neither places nor routes"),
        (changed(MATCH, profile_kw=[1, 2]), "not both"),
        (changed(MATCH, hours_per_year=9999), "at most 8784"),
        ({**MATCH, "places": [{"id": "f", "x_m": 0}, {"id": "q"}]}, "half a position"),
        ({**MATCH, "route_factor": 0.5}, "must be at least 1"),
    ],
    ids=lambda given: given[:30] if isinstance(given, str) else "",
)
def test_a_match_file_that_makes_no_sense_is_refused_with_a_sentence(heat, problem, sentence):
    code, out, err = heat("match", problem, "--json")
    assert (code, out) == (2, "")
    assert sentence in err


def test_every_command_tells_how_its_file_looks(capsys):
    for command, word in (("targets", "dt_min_k"), ("match", "hours_per_year"), ("reconcile", "temperature_sd")):
        cli.app(["heat", command, "--help"], result_action="return_value")
        assert word in capsys.readouterr().out


EXAMPLES = re.findall(
    r"```json (\w+)\n(.*?)```", (Path(__file__).parents[2] / "docs/heat.md").read_text("utf-8"), re.DOTALL
)


@pytest.mark.parametrize(("command", "problem"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_the_examples_of_the_documentation_run_as_they_stand(heat, command, problem):
    code, out, err = heat(command, problem, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)

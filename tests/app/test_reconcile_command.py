from __future__ import annotations

import json

import pytest
from published_networks import P4, P4_MEASURED, P4_RECONCILED, P10

from sidestream_app.cli import app, exit_code
from sidestream_contracts.errors import ConfigurationError

LINE = [
    {"id": "in", "from": None, "to": "tank", "measured": 10.0, "sd": 0.1},
    {"id": "out", "from": "tank", "to": None, "measured": 10.2, "sd": 0.1},
]


@pytest.fixture
def reconcile(tmp_path, capsys):
    def ask(content, *options):
        path = tmp_path / "net.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        assert app(["twin", "reconcile", str(path), *options], result_action="return_value") == 0
        printed = capsys.readouterr().out
        return json.loads(printed) if "--json" in options else printed

    return ask


def as_file(problem, measured=None, **more):
    streams = [
        {"id": s.id, "from": s.source, "to": s.target, "measured": s.measured.value, "sd": s.measured.sd}
        for s in problem.streams(measured)
    ]
    return {"streams": streams, "nodes": list(problem.nodes), **more}


def test_a_published_network_comes_out_with_every_documented_key(reconcile):
    found = reconcile(as_file(P4, P4_MEASURED, level=0.12, unit="t/h"), "--json")
    assert [each["reconciled"] for each in found["streams"]] == pytest.approx(P4_RECONCILED, abs=0.006)
    keys = {"reconciled", "sd", "class", "adjustability", "detectability", "test", "suspect"}
    assert all(keys <= each.keys() for each in found["streams"])
    assert found["global_test"].keys() == {"statistic", "dof", "critical", "p_value", "passed"}
    assert found["global_test"]["dof"] == 4
    assert found["unit"] == "t/h"


def test_real_measurements_are_reconciled_and_suspects_told_in_words(reconcile):
    """P10: the water balance as measured can't be true; what stands out is told with its bias, and so is a leak."""
    printed = reconcile(as_file(P10, level=0.1, unit="t/h"))
    assert "the meters contradict each other" in printed
    assert "Suspect: 6 reads 0.5418 ± 0.29 t/h too low (test 4.7)." in printed
    assert "without suspects" in printed


def test_what_is_not_known_is_null_with_its_reason(reconcile):
    streams = [
        *LINE,
        {"id": "a", "from": "tank", "to": "x"},
        {"id": "b", "from": "tank", "to": "x", "measured": None},
        {"id": "c", "from": "x", "to": None},
    ]
    found = {each["id"]: each for each in reconcile({"streams": streams}, "--json")["streams"]}
    assert [found[name]["class"] for name in ("in", "a", "c")] == ["non-redundant", "unobservable", "observable"]
    assert found["a"]["reconciled"] is None
    assert "leave it open" in found["a"]["reconciled_why"]
    assert found["in"]["detectability"] == 0
    assert found["in"]["test"] is None
    assert found["c"]["reconciled"] == pytest.approx(-0.2)


def test_nothing_measured_is_an_answer_and_not_an_error(reconcile):
    found = reconcile({"streams": [{"id": 1, "from": None, "to": 7}, {"id": 2, "from": 7, "to": None}]}, "--json")
    assert found["global_test"] is None
    assert "no meter checks another" in found["global_test_why"]
    assert {each["class"] for each in found["streams"]} == {"unobservable"}
    assert "nothing can be said" in reconcile({"streams": [{"id": 1, "to": 7}, {"id": 2, "from": 7}]})


def test_two_meters_in_one_line_are_suspected_together(reconcile):
    streams = [
        {"id": "in", "to": "tank", "measured": 10.0, "sd": 0.1},
        {"id": "out", "from": "tank", "measured": 12.0, "sd": 0.1},
    ]
    found = reconcile({"streams": streams, "remark": "any other key is left alone"}, "--json")
    assert found["suspects"][0]["bias"] == pytest.approx({"in": -2.0, "out": 2.0})
    assert found["alike"] == [["in", "out"]]
    assert [each["suspect_with"] for each in found["streams"]] == [["out"], ["in"]]
    assert [each["reconciled_without_suspects"] for each in found["streams"]] == [None, None]


def test_bounds_are_kept_where_asked_for_and_flows_may_turn_round_otherwise(reconcile):
    streams = [{**LINE[0], "measured": -1.0}, {**LINE[1], "measured": -0.5}]
    free = reconcile({"streams": streams}, "--json")
    assert free["streams"][0]["reconciled"] == pytest.approx(-0.75)
    bound = reconcile({"streams": streams, "nonnegative": True}, "--json")
    assert [each["reconciled"] for each in bound["streams"]] == pytest.approx([0, 0])
    assert bound["at_bound"]
    one = reconcile({"streams": [{**streams[0], "bounds": [-0.6, None]}, streams[1]]}, "--json")
    assert [each["reconciled"] for each in one["streams"]] == pytest.approx([-0.6, -0.6])


@pytest.mark.parametrize(("second_outlet", "unmet"), [(9.0, []), (12.0, [["a", "b"]])])
def test_bounds_of_streams_that_cant_be_known_are_not_broken_in_silence(reconcile, second_outlet, unmet):
    """More leaves by meter than enters, so two unmetered outlets can't both be flows that never turn round."""
    streams = [
        {"id": "in", "from": None, "to": "tank", "measured": 10.0, "sd": 0.1},
        {"id": "out", "from": "tank", "to": None, "measured": second_outlet, "sd": 0.1},
        {"id": "a", "from": "tank", "to": None},
        {"id": "b", "from": "tank", "to": None},
        {"id": "c", "from": None, "to": "pond"},
        {"id": "d", "from": "pond", "to": None},
    ]
    found = reconcile({"streams": streams, "nonnegative": True}, "--json")
    assert found["unmet_bounds"] == unmet
    printed = reconcile({"streams": streams, "nonnegative": True})
    assert ("No values within their bounds fit the others, though they aren't known: a, b." in printed) is bool(unmet)
    assert reconcile({"streams": streams}, "--json")["unmet_bounds"] == []


def changed(**of_first):
    return {"streams": [{**LINE[0], **of_first}, LINE[1]]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not JSON"),
        (r'{"streams": [{"id": "\ud800", "to": "n"}]}', r"\ud800 is half of a character"),
        ("[]", "must be one JSON object"),
        ({}, "streams"),
        ({"streams": []}, "streams"),
        (changed(sd=-1), "sd"),
        ('{"streams": [{"id": "a", "to": "n", "measured": NaN, "sd": 1}]}', "NaN is no number"),
        ('{"streams": [{"id": "a", "to": "n", "measured": 1e999, "sd": 1}]}', "measured"),
        (changed(sd=1e-200), "choose another unit"),
        (changed(measured="10"), "must be a number"),
        (changed(measured=True), "must be a number"),
        (changed(sd=None), "it has measured but no sd"),
        (changed(measured=None), "it has sd but no measured"),
        (changed(id="out"), "another stream has this id"),
        (changed(id=None), "id"),
        (changed(to=None), "from outside to outside"),
        (changed(**{"from": "tank"}), "to itself"),
        ({"streams": [{"id": "a", "form": "n", "to": "m"}]}, "'from'"),
        ({"streams": LINE, "nodes": ["tonk"]}, "is 'tonk' meant?"),
        ({"streams": LINE, "nodes": ["tank", "tank"]}, "listed more than once"),
        ({"streams": LINE, "level": 0}, "level"),
        ({"streams": LINE, "level": 1.0}, "level"),
        (changed(bounds=[2, 1]), "smaller one first"),
        ({"streams": [{**LINE[0], "sd": 0}, {**LINE[1], "sd": 0}]}, "contradicts itself"),
        ({"streams": [{**LINE[0], "bounds": [20, None]}, {**LINE[1], "bounds": [None, 15]}]}, "can't reach its bound"),
    ],
)
def test_nonsense_is_refused_with_file_place_and_way_out(tmp_path, content, told):
    path = tmp_path / "net.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigurationError) as refused:
        app(["twin", "reconcile", str(path)], result_action="return_value")
    assert told in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert exit_code(refused.value) == 2


def test_a_file_that_is_not_there_is_a_sentence_too(tmp_path):
    with pytest.raises(ConfigurationError, match="can't be read"):
        app(["twin", "reconcile", str(tmp_path / "none.json")], result_action="return_value")

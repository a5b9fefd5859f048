"""Drivers of other packages: found by entry point, checked as our own, run as our own; the example of the docs is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from edge_rig import AgentThread, FakeHub, Mosquitto, until
from plugin_rig import install, third_party

from sidestream_app.commands.edge_drivers import drivers
from sidestream_contracts.edge import BUILT_IN, load_edge
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.drivers import TABLE, build

EXAMPLE = Path(__file__).parent / "plugin_example"
DOCS = Path(__file__).parents[2] / "docs" / "write-a-driver.md"
NAMES = ", ".join(BUILT_IN)


@pytest.fixture
def example(site: Path) -> Path:
    install(site, EXAMPLE)
    return site


def write(tmp_path: Path, section: str, port: int = 1883) -> Path:
    path = tmp_path / "edge.yaml"
    path.write_text(
        f"version: 1\nhub: h\nparty: p\ndevice: gw\nbroker: {{host: 127.0.0.1, port: {port}}}\n"
        f"outbox: {{path: outbox.sqlite, journal: true}}\ndrivers:\n{section}"
    )
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_edge(path)
    return str(caught.value).replace(str(path), path.name)


def test_every_built_in_model_has_its_line_in_the_table() -> None:
    assert set(TABLE) == set(BUILT_IN)


def test_the_documentation_shows_the_example_word_for_word() -> None:
    docs = DOCS.read_text()
    for name in ("pyproject.toml", "sidestream_thermometer/__init__.py"):
        assert (EXAMPLE / name).read_text() in docs, f"docs/write-a-driver.md shows another {name}"


def test_an_installed_driver_is_found_announced_and_built(example: Path, tmp_path: Path) -> None:
    edge = load_edge(write(tmp_path, "  - {id: board, type: thermometer, sensor: board-temp, file: temp}\n"))
    [told] = edge.drivers[0].announced()
    assert (told.id, told.driver, told.unit, told.quantity) == ("board-temp", "board", "Cel", "temperature")
    assert build(edge.drivers[0], tmp_path, edge).type == "thermometer"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "  - id: board\n    type: thermometer\n    sensor: board-temp\n    period_s: 0\n",
            "edge.yaml:11: drivers.0.period_s: 0 is out of range; it must be above 0",
        ),
        (
            "  - id: board\n    type: thermometer\n    sensor: board-temp\n    perriod_s: 2\n",
            (
                "edge.yaml:11: drivers.0.perriod_s: unknown key, did you mean 'period_s'?; "
                "allowed here: file, id, isolation, memory_mb, period_s, sensor, type"
            ),
        ),
        ("  - id: board\n    type: thermometer\n", "edge.yaml:8: drivers.0.sensor: is missing"),
        (
            "  - id: board\n    type: thermometre\n    sensor: board-temp\n",
            (
                f"edge.yaml:9: drivers.0.type: 'thermometre' is not allowed; allowed: {NAMES}, thermometer; "
                "did you mean 'thermometer'?"
            ),
        ),
        (
            "  - {id: a, type: thermometer, sensor: t}\n  - {id: b, type: thermometer, sensor: t}\n",
            "edge.yaml:9: drivers.1: sensor 't' is already read by driver 'a'",
        ),
    ],
)
def test_mistakes_in_its_section_are_told_with_file_and_line(example, tmp_path, section, told) -> None:
    assert complaint(write(tmp_path, section)) == told


def test_without_plugins_an_unknown_type_says_how_others_come_in(tmp_path: Path) -> None:
    text = complaint(write(tmp_path, "  - {id: a, type: zzz, sensor: t}\n"))
    assert text == (
        f"edge.yaml:8: drivers.0.type: 'zzz' is not allowed; allowed: {NAMES}; "
        "no package on this machine brings others (entry points 'sidestream.drivers')"
    )


def test_a_plugin_may_take_its_section_as_it_is_and_check_it_itself(site: Path, tmp_path: Path) -> None:
    third_party(
        site,
        "passed_on",
        "from sidestream_contracts.edge_plugins import Plugin\n"
        "def check(section):\n    if section.plain()['depth'] > 3: yield 'depth: at most 3 m'\n"
        "plugin = Plugin(lambda section, base, edge: section, check=check)\n",
    )
    section = "  - id: a\n    type: odd\n    depth: {}\n    sensors: [{{id: s, unit: m, quantity: level}}]\n"
    edge = load_edge(write(tmp_path, section.format(2)))
    assert [(told.id, told.unit) for told in edge.drivers[0].announced()] == [("s", "m")]
    assert build(edge.drivers[0], tmp_path, edge).plain()["depth"] == 2
    assert complaint(write(tmp_path, section.format(4))) == "edge.yaml:8: drivers.0: depth: at most 3 m"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import no_such_library", "can't be imported: ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise OSError('no licence file')", "can't be imported: OSError: no licence file"),
        ("plugin = 5", "names broken_plugin:plugin, which is no Plugin"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_its_package(site, tmp_path, body, told) -> None:
    third_party(site, "broken_plugin", body)
    text = complaint(write(tmp_path, "  - {id: a, type: odd}\n"))
    assert text.startswith("edge.yaml:8: drivers.0.type: the")
    assert "package broken_plugin 2.1" in text
    assert told in text


def test_the_command_lists_what_is_installed(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drivers() == 0
    told = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()}
    assert set(told) == {*BUILT_IN, "thermometer"}
    assert told["thermometer"] == "the temperature that a Linux board measures of itself  [sidestream-thermometer 1.0]"


@pytest.mark.server
def test_readings_of_an_installed_driver_reach_the_hub_and_a_missing_file_is_said(
    example: Path,
    mosquitto: Mosquitto,
    hub_on: Callable[..., FakeHub],
    agent: Callable[..., AgentThread],
    tmp_path: Path,
) -> None:
    mosquitto.start()
    hub = hub_on()
    agent(
        load_edge(
            write(tmp_path, "  - {id: b, type: thermometer, sensor: t, file: temp, period_s: 0.05}\n", mosquitto.port)
        )
    )
    until(lambda: None in hub.values("t"), "a reading of quality bad")
    until(
        lambda: any(s.drivers and "no temperature in" in (s.drivers[0].error or "") for s in hub.statuses), "the reason"
    )
    (tmp_path / "temp").write_text("21500\n")
    until(lambda: 21.5 in hub.values("t"), "the temperature")


@pytest.mark.server
def test_the_hub_hears_what_an_isolated_driver_measures_though_the_agent_does_not_import_it(
    example: Path,
    mosquitto: Mosquitto,
    hub_on: Callable[..., FakeHub],
    agent: Callable[..., AgentThread],
    tmp_path: Path,
) -> None:
    mosquitto.start()
    hub = hub_on()
    section = "  - {id: b, type: thermometer, sensor: t, file: temp, isolation: process}\n"
    agent(load_edge(write(tmp_path, section, mosquitto.port)))
    until(lambda: [(one.id, one.unit) for s in hub.statuses[-1:] for one in s.sensors] == [("t", "Cel")], "its sensor")

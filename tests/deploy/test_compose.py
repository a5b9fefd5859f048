"""docker-compose.yml holds together: syntax, references, variables, pins, secrets and the commands it runs."""

from __future__ import annotations

import json
import re
import shlex
from itertools import chain
from pathlib import Path

import jsonschema
import pytest

from sidestream_app.cli import app
from sidestream_contracts.edge import load_edge
from sidestream_contracts.hubcheck import load_hub

ROOT = Path(__file__).parents[2]
ONE_SHOT = {"migrate"}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[-?])?")
OURS = re.compile(r"\bSIDESTREAM_[A-Z_]+\b")


def short_mounts(service):
    return [mount.split(":") for mount in service.get("volumes", [])]


def test_it_is_a_compose_file_by_the_schema_of_the_specification(compose):
    schema = json.loads((ROOT / "tests/deploy/compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_every_dependency_network_and_volume_is_declared_and_every_declared_one_used(compose):
    services = compose["services"]
    needed = set(chain.from_iterable(s.get("depends_on", {}) for s in services.values()))
    networks = set(chain.from_iterable(s["networks"] for s in services.values()))
    volumes = {m[0] for s in services.values() for m in short_mounts(s) if re.fullmatch(r"\w+", m[0])}
    assert needed <= services.keys()
    assert networks == compose["networks"].keys()
    assert volumes == compose["volumes"].keys()


def test_whoever_waits_waits_for_what_can_come(compose):
    """`service_healthy` needs a health check, `service_completed_successfully` a service that ends."""
    for name, service in compose["services"].items():
        for other, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, (name, other)


def test_every_mounted_file_of_the_repository_is_there(services):
    mounted = {m[0] for s in services.values() for m in short_mounts(s) if m[0].startswith("./")}
    assert mounted
    assert [path for path in sorted(mounted) if not (ROOT / path).exists()] == []
    for service in services.values():
        assert all(m[2:] == ["ro"] for m in short_mounts(service) if m[0].startswith("./"))


def test_every_variable_is_explained_in_env_example_and_every_explained_one_used(compose_text, example_env):
    used = {match[1] for match in VARIABLE.finditer(compose_text)}
    assert used == example_env.keys()


def test_an_env_file_copied_as_it_is_starts_nothing(compose_text, example_env):
    """Whatever is left empty is either optional or stops Compose with a message."""
    empty = {name for name, value in example_env.items() if not value}
    demanded = {match[1] for match in VARIABLE.finditer(compose_text) if match[2] == ":?"}
    assert empty - demanded == {"EDGE_PASSWORD", "MORE_EDGES", "SIDESTREAM_OPERATOR_TOKEN", "SIDESTREAM_OPERATOR_DSN"}


def test_no_secret_stands_in_the_file_or_the_example(compose, example_env):
    for name, service in compose["services"].items():
        secrets = {key: value for key, value in service.get("environment", {}).items() if "PASSWORD" in key}
        assert all(str(value).startswith("${") for value in secrets.values()), name
    assert {value for name, value in example_env.items() if name.endswith("_PASSWORD")} == {""}


def test_every_image_is_pinned_to_a_version_or_built_here(compose):
    for name, service in compose["services"].items():
        if "build" in service:
            assert service["build"]["target"] in {"server", "edge"}
        else:
            assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", service["image"]), name


def test_every_service_tells_whether_it_is_well_or_ends_by_itself(compose):
    without = {name for name, s in compose["services"].items() if "healthcheck" not in s}
    assert without == ONE_SHOT
    assert {name for name, s in compose["services"].items() if s["restart"] == "no"} == ONE_SHOT


def test_nobody_is_root_and_nobody_can_become_it(compose):
    for name, service in compose["services"].items():
        assert int(service["user"].split(":")[0]) > 0, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


def test_logs_are_bounded(compose):
    for service in compose["services"].values():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_only_what_people_and_gateways_need_is_reachable_and_only_from_this_machine_at_first(services):
    published = {name: s["ports"] for name, s in services.items() if "ports" in s}
    assert published.keys() == {"mosquitto", "prefect", "web", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert published["mosquitto"] == ["127.0.0.1:1883:1883"]


def test_gateways_share_no_network_with_the_database(compose):
    services = compose["services"]
    assert services["edge"]["networks"] == services["mosquitto"]["networks"] == ["field"]
    assert services["timescaledb"]["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}


def test_the_page_and_grafana_log_in_as_the_viewer(services):
    assert "user=sidestream_view" in services["web"]["environment"]["SIDESTREAM_DSN"]
    assert services["grafana"]["environment"]["SIDESTREAM_VIEWER_USER"] == "sidestream_view"
    assert not any("SIDESTREAM_DB_PASSWORD" in services[name]["environment"] for name in ("web", "grafana"))


def sidestream_commands(service):
    """Every `sidestream …` that the service runs, as words."""
    command = service.get("command", [])
    if command[:1] == ["sidestream"]:
        return [command[1:]]
    lines = command[-1].splitlines() if command[:1] == ["sh"] else []
    return [words[1:] for line in lines if (words := shlex.split(line))[:1] == ["sidestream"]]


def test_every_sidestream_command_is_understood_by_the_real_command_line(services, monkeypatch):
    seen = []
    for service in services.values():
        with monkeypatch.context() as patch:
            for key, value in service.get("environment", {}).items():
                patch.setenv(key, value)
            for words in sidestream_commands(service):
                function, _, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
                assert not ignored
                seen.append(f"{function.__module__.rpartition('.')[2]} {function.__name__}")
    assert sorted(seen) == [
        "db migrate", "db viewer", "edge run", "flows run", "hub apply", "ingest run", "publish publish", "simulate simulate", "web run",
    ]  # fmt: skip


def test_every_variable_given_to_a_service_of_ours_is_read_by_somebody(compose):
    """A name with a slip in it would be silently ignored."""
    given = {key for s in compose["services"].values() for key in s.get("environment", {}) if OURS.fullmatch(key)}
    readers = [*ROOT.glob("app/**/*.py"), *ROOT.glob("dashboards/provisioning/**/*.yaml"), *ROOT.glob("deploy/**/*")]
    readers += ROOT.glob("simulators/sidestream_simulators/hubs/*/edge.yaml")
    read = set(
        chain.from_iterable(OURS.findall(path.read_text(encoding="utf-8")) for path in readers if path.is_file())
    )
    assert given <= read


def test_the_data_source_of_grafana_gets_every_variable_it_wants(compose):
    wanted = set()
    for path in ROOT.glob("dashboards/provisioning/**/*.yaml"):
        wanted |= {match[1] for match in VARIABLE.finditer(path.read_text(encoding="utf-8"))}
    assert wanted <= compose["services"]["grafana"]["environment"].keys()


def test_grafana_finds_every_generated_dashboard_where_its_provider_looks(compose):
    mounts = {m[1] for m in short_mounts(compose["services"]["grafana"])}
    provider = (ROOT / "dashboards/provisioning/dashboards/sidestream.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"path: (\S+)", provider)) <= mounts
    folders = {path.name for path in (ROOT / "dashboards/generated").iterdir() if path.is_dir()}
    assert folders == {
        m[0].rpartition("/")[2] for m in short_mounts(compose["services"]["grafana"]) if "generated" in m[0]
    }


def test_the_demo_gateway_uses_the_login_and_addresses_that_compose_gives_it(services, filled_env, monkeypatch):
    folder = ROOT / filled_env["SIDESTREAM_HUB_DIR"]
    for key, value in services["edge"]["environment"].items():
        monkeypatch.setenv(key, value)
    edge = load_edge(folder / "edge.yaml")
    assert (edge.broker.host, edge.broker.port) == ("mosquitto", 1883)
    assert (edge.broker.username, edge.broker.password) == (filled_env["EDGE_USER"], filled_env["EDGE_PASSWORD"])
    assert edge.outbox.path == "/var/lib/sidestream/outbox.sqlite"
    assert {driver.host for driver in edge.drivers if driver.type == "modbus"} == {"simulator"}
    assert filled_env["EDGE_USER"] == f"{edge.party}/{edge.device}"
    assert load_hub(folder / "hub.yaml").hub.id == edge.hub


@pytest.mark.parametrize("name", ["simulator", "edge"])
def test_the_demo_runs_only_when_asked_for(compose, name):
    assert compose["services"][name]["profiles"] == ["demo"]

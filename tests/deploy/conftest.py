"""docker-compose.yml as Compose would read it: anchors and merges resolved, variables taken from `.env.example`.

`compose-spec.json` is the JSON Schema of the Compose Specification (compose-spec/compose-spec, Apache-2.0), unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<sign>:[-?])(?P<rest>[^}]*))?\}")


def interpolate(value: Any, env: Mapping[str, str]) -> Any:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$`, as Compose does it."""
    if isinstance(value, dict):
        return {key: interpolate(item, env) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, env) for item in value]
    return VARIABLE.sub(lambda match: _replace(match, env), value) if isinstance(value, str) else value


def _replace(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    found = env.get(match["name"], "")
    if not found and match["sign"] == ":?":
        raise AssertionError(f"{match['name']} is not set: {match['rest']}")
    return found or (match["rest"] if match["sign"] == ":-" else "")


@pytest.fixture(scope="session")
def compose_text() -> str:
    return (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def compose(compose_text: str) -> dict[str, Any]:
    """The file with anchors and merges resolved, variables as written."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(compose_text)))


@pytest.fixture(scope="session")
def example_env() -> dict[str, str]:
    """`.env.example` as it stands."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="session")
def filled_env(example_env: dict[str, str]) -> dict[str, str]:
    """`.env.example` with a password wherever one is left to fill in."""
    return {
        name: f"secret-of-{name.lower()}" if name.endswith("_PASSWORD") else value
        for name, value in example_env.items()
    }


@pytest.fixture(scope="session")
def services(compose: dict[str, Any], filled_env: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The services with every variable replaced."""
    return interpolate(compose["services"], filled_env)

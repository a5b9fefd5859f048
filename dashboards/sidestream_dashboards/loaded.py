"""The generated files as Grafana sees them: panels with the variables in force, rules with their one query.

The check works on this, not on our own model, so that what is checked is what is shipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidestream_contracts.errors import ConfigurationError
from sidestream_dashboards.source import ALERTS_FILE

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoadedPanel:
    """A panel with its JSON; `scoped` names the variable of the repeated row that it belongs to."""

    where: str
    json: Json
    scoped: str | None

    @property
    def sql(self) -> str:
        """The SQL of its first query, empty where there is none."""
        targets = self.json.get("targets") or [{}]
        return str(targets[0].get("rawSql", ""))

    @property
    def defaults(self) -> Json:
        """How fields are shown that no override names."""
        return dict(self.json.get("fieldConfig", {}).get("defaults", {}))

    @property
    def overrides(self) -> dict[str, Json]:
        """Column name → what its override sets, by property id."""
        found = self.json.get("fieldConfig", {}).get("overrides", [])
        return {
            item["matcher"]["options"]: {each["id"]: each["value"] for each in item["properties"]} for item in found
        }


@dataclass(frozen=True, slots=True)
class LoadedDashboard:
    """A dashboard file with its JSON."""

    name: str
    json: Json

    def variables(self) -> dict[str, Json]:
        """Name → variable."""
        return {item["name"]: item for item in self.json.get("templating", {}).get("list", [])}

    def panels(self) -> Iterator[LoadedPanel]:
        """Every panel but rows, in order."""
        scoped: str | None = None
        for panel in self.json.get("panels", []):
            if panel.get("type") == "row":
                scoped = panel.get("repeat")
                continue
            yield LoadedPanel(f"{self.name}: panel {panel.get('id')} ({panel.get('title')})", panel, scoped)


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """An alert rule with its JSON."""

    where: str
    json: Json

    @property
    def sql(self) -> str:
        """The SQL of its query A."""
        return str(self.json["data"][0]["model"].get("rawSql", ""))

    @property
    def texts(self) -> str:
        """What a person reads when it fires, as templates."""
        return " ".join(str(value) for value in self.json.get("annotations", {}).values())


@dataclass(frozen=True, slots=True)
class Loaded:
    """All generated files."""

    dashboards: tuple[LoadedDashboard, ...]
    rules: tuple[LoadedRule, ...]
    alerts_text: str


def load(files: Mapping[str, str]) -> Loaded:
    """The files parsed; ConfigurationError names one that is not JSON."""
    parsed = {name: _parse(name, text) for name, text in files.items()}
    alerts = parsed.pop(ALERTS_FILE, {"groups": []})
    rules = tuple(
        LoadedRule(f"{ALERTS_FILE}: rule {rule.get('uid')}", rule)
        for group in alerts["groups"]
        for rule in group["rules"]
    )
    dashboards = tuple(LoadedDashboard(name, content) for name, content in sorted(parsed.items()))
    return Loaded(dashboards, rules, files.get(ALERTS_FILE, ""))


def _parse(name: str, text: str) -> Json:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{name} is not JSON ({error}); run `sidestream dashboards write`.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{name} holds no JSON object; run `sidestream dashboards write`.")
    return content

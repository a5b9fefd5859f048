"""Drivers of others: packages that name themselves by entry point in group `sidestream.drivers`; see docs/write-a-driver.md.

Nothing of a plug-in is imported before an `edge.yaml` asks for its type, and with `isolation: process` nothing of it is
ever imported by the agent itself: then its own process checks its configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.explain import explain
from sidestream_contracts.ids import Id, nearest
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.yamlnodes import Problem

GROUP = "sidestream.drivers"

_RAISED = (
    ImportError, AttributeError, SyntaxError, NameError, TypeError, ValueError, LookupError, OSError, RuntimeError
)  # fmt: skip
"""What code of somebody else's may raise while it is imported or asked."""


class PluginSensor(BaseModel):
    """A sensor that a plug-in's section names; what else stands there is the plug-in's."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    id: Id
    unit: str | None = Field(default=None, description="UCUM code, announced to the hub")
    quantity: str | None = Field(default=None, description="announced to the hub")


def _not_ours(schema: dict[str, Any]) -> None:
    """In the published schema a section fits one model only: this one is for types that are not built in."""
    from sidestream_contracts.edge import BUILT_IN

    schema["properties"]["type"]["not"] = {"enum": list(BUILT_IN)}


class PluginDriver(DriverPart):
    """A driver that an installed package brings; further keys are checked by that package."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_not_ours)

    type: str = Field(min_length=1, description="name of the entry point in group sidestream.drivers")
    sensors: list[PluginSensor] = Field(default=[], description="announced to the hub")

    @property
    def is_installed(self) -> bool:
        """Whether a package brings a driver of this type."""
        return self.type in installed()

    def plain(self) -> dict[str, Any]:
        """The section as it stands in the file."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def announced(self) -> Iterator[AnnouncedSensor]:
        """What the plug-in's own model announces, or else what stands under `sensors`."""
        own: list[AnnouncedSensor] = []
        if self.isolation == "thread" and self.is_installed and not list(self.problems(0)):
            config = configured(self)
            own = [] if isinstance(config, PluginDriver) else list(config.announced())
        yield from own or (announced_as(self.id, sensor) for sensor in self.sensors)

    def problems(self, n: int) -> Iterator[Problem]:
        """What the plug-in has to say against its section."""
        yield from super().problems(n)
        if self.isolation == "process":
            return
        try:
            plugin = load_plugin(self.type)
        except ConfigurationError as error:
            yield Problem(("drivers", n, "type"), f"drivers.{n}.type: {error}")
            return
        yield from _theirs(plugin, self, n)

    def unknown(self, n: int, built_in: Iterable[str]) -> Problem:
        """That no driver of this type is there: what is, a guess, and how others come in."""
        known = [*built_in, *sorted(installed())]
        guess = nearest(self.type, known)
        others = "" if installed() else f"; no package on this machine brings others (entry points {GROUP!r})"
        return Problem(
            ("drivers", n, "type"),
            f"drivers.{n}.type: {self.type!r} is not allowed; allowed: {', '.join(known)}"
            f"{f'; did you mean {guess!r}?' if guess else others}",
        )


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point of group `sidestream.drivers` names.

    `build` takes the checked configuration, the folder of `edge.yaml` and the whole `EdgeFile`, touches neither network nor
    file, and returns a `sidestream_edge.drivers.Driver`. `config` derives from `DriverPart` and refuses unknown keys, each mistake
    with file and line; left out, the section is passed on as a `PluginDriver`. `check` yields a sentence for each thing that
    types can't say.
    """

    build: Callable[[Any, Any, Any], Any]
    config: type[DriverPart] = PluginDriver
    check: Callable[[Any], Iterable[str]] = lambda _: ()
    about: str = ""
    """What it reads, in a line for `sidestream edge drivers`."""


def installed() -> Mapping[str, EntryPoint]:
    """Entry point of each type of driver that a package on this machine brings; of two of one name the first counts."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, point)
    return found


def load_plugin(kind: str) -> Plugin:
    """The plug-in for drivers of type `kind`; ConfigurationError if there is none or it can't be imported."""
    point = installed().get(kind)
    if point is None:
        raise ConfigurationError(f"no installed package brings a driver of type {kind!r} (entry points {GROUP!r})")
    try:
        plugin = point.load()
    except _RAISED as error:
        raise ConfigurationError(
            f"the driver {kind!r} of {_package(point)} can't be imported: {type(error).__name__}: {error}."
            f" Install that package again, or ask its author"
        ) from error
    if not isinstance(plugin, Plugin):
        raise ConfigurationError(
            f"the entry point {kind!r} of {_package(point)} names {point.value}, which is no Plugin; its author"
            " finds what it must be in docs/write-a-driver.md"
        )
    return plugin


def configured(section: PluginDriver) -> DriverPart:
    """The section as the plug-in's own model; ConfigurationError with all that is wrong in it."""
    plugin = load_plugin(section.type)
    problems = [problem.message for problem in _theirs(plugin, section, 0)]
    if problems:
        raise ConfigurationError(
            f"Driver {section.id}: " + "; ".join(p.removeprefix("drivers.0").lstrip(".: ") for p in problems)
        )
    return _as(plugin.config, section)


def _theirs(plugin: Plugin, section: PluginDriver, n: int) -> Iterator[Problem]:
    try:
        config = _as(plugin.config, section)
    except ValidationError as error:
        plain = {"drivers": {n: section.plain()}}
        for detail in error.errors():
            yield explain({**detail, "loc": ("drivers", n, *detail["loc"])}, plugin.config, plain)
        return
    if not isinstance(config, PluginDriver):
        yield from config.problems(n)
    try:
        found = list(plugin.check(config))
    except _RAISED as error:
        found = [f"its check by the plug-in failed: {type(error).__name__}: {error}"]
    yield from (Problem(("drivers", n), f"drivers.{n}: {sentence}") for sentence in found)


def _as(model: type[DriverPart], section: PluginDriver) -> DriverPart:
    return section if model is PluginDriver else model.model_validate(section.plain())


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else f"the module {point.module}"

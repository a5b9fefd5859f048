"""What all explaining of one question shares: one snapshot of the database, the hub as it was, and how far to go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sidestream_contracts.errors import DomainError
from sidestream_store.connect import Connection
from sidestream_store.explain.figures import Wanted
from sidestream_store.explain.readings import Sensor, sensors
from sidestream_store.twin.hub import TwinHub
from sidestream_store.twin.hub_at import HubVersion, current_version, hub_version, twin_hub_at
from sidestream_twin.context import Pass
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.tree import Explained
from sidestream_twin.plan import Plan, plan_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far to go: levels below the number, and inputs listed at each place (more are used, and counted)."""

    depth: int = 8
    readings: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The question's surroundings; `known_at`: figures as they were published then (None: as they are)."""

    connection: Connection
    hub: TwinHub
    sensors: dict[str, Sensor]
    limits: Limits
    now_at: datetime
    known_at: datetime | None = None
    _plans: dict[int, Plan] = field(default_factory=dict)

    @classmethod
    def open(cls, connection: Connection, limits: Limits, now_at: datetime, known_at: datetime | None) -> Scope:
        """The hub as it is applied; ConfigurationError when none is. To be called inside of one snapshot."""
        hub = twin_hub_at(connection, current_version(connection))
        return cls(connection, hub, sensors(connection), limits, now_at, known_at)

    @property
    def step_s(self) -> int:
        """Length of the twin's steps."""
        return self.hub.step_s

    @property
    def goes_on(self) -> bool:
        """Whether inputs are to be listed."""
        return self.limits.depth > 0

    def deeper(self) -> Scope:
        """The same, one level further down."""
        return replace(self, limits=replace(self.limits, depth=self.limits.depth - 1))

    def plan(self, version: int | None = None) -> Plan:
        """What was computed of a version of the hub; of the one that holds, where none is named or it can't be read."""
        version = self.hub.version if version is None else version
        if version not in self._plans:
            try:
                hub = self.hub if version == self.hub.version else twin_hub_at(self.connection, version)
            except DomainError:
                return self.plan()
            self._plans[version] = plan_of(hub)
        return self._plans[version]

    def pass_at(self, plan: Plan, stop: int, now_at: datetime | None = None) -> Pass:
        """What the parts of a pass ask for, to compute the same again; `stop` is the first step left out."""
        return Pass(self.connection, plan, now_at or self.now_at, stop)

    def wanted(self, address: Address) -> Wanted:
        """Which figure the address means."""
        return Wanted(address.at, address.revision, None if address.revision else self.known_at)

    def configuration(self, version: int | None) -> Explained:
        """Which version of hub.yaml it was computed with, and since when it held."""
        version = self.hub.version if version is None else version
        held: HubVersion | None = hub_version(self.connection, version)
        if held is None:
            return Explained(f"hub.yaml, version {version}", said="not on record")
        facts = {"version": version, "applied_by": held.applied_by, "sha256": held.hash}
        until = {"replaced_at": held.replaced_at} if held.replaced_at else {}
        return Explained("hub.yaml", said=f"version {version}", from_at=held.applied_at, facts=facts | until)


def step_of(at: datetime, step_s: int) -> int:
    """The step that holds an instant."""
    return (at - _EPOCH) // timedelta(seconds=step_s)


def seconds(at: datetime) -> float:
    """Seconds since 1970 UTC."""
    return (at - _EPOCH) / timedelta(seconds=1)


def instant(at_s: float) -> datetime:
    """The instant of so many seconds since 1970 UTC, to the nearest microsecond."""
    return _EPOCH + timedelta(seconds=at_s)

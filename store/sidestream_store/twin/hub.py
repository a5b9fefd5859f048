"""The hub as the twin needs it: nodes, streams with their lifecycle, sensors, lot types, agreements; SI where it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sidestream_contracts.balances import Domain, interval_s
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.units import ZERO_CELSIUS_K
from sidestream_store.connect import Connection


@dataclass(frozen=True, slots=True)
class HubLoss:
    """What is lost without a meter: `heat_w`, or a share of what enters, or along a pair of pipes; `sd_share` of it.

    `u_w_m_k` is of one pipe, `surroundings_k` the temperature around the pipes.
    """

    heat_w: float | None = None
    share: float | None = None
    length_m: float | None = None
    u_w_m_k: float | None = None
    surroundings_k: float = 281.15
    sd_share: float = 0.2


@dataclass(frozen=True, slots=True)
class HubYield:
    """`output` is `ratio` times `input`, give or take `sd`."""

    input: str
    output: str
    ratio: float
    sd: float


@dataclass(frozen=True, slots=True)
class HubNode:
    """A node; `start_kg` is its mass when Sidestream began to follow it. `conserves` None: what its kind says."""

    id: str
    kind: str
    material: str | None
    min_kg: float | None
    max_kg: float | None
    start_kg: float | None
    start_sd_kg: float | None
    start_at: datetime | None
    conserves: tuple[Domain, ...] | None = None
    hold_up_kg: float | None = None
    loss: HubLoss | None = None
    yields: tuple[HubYield, ...] = ()
    family: str = ""


@dataclass(frozen=True, slots=True)
class HubStream:
    """An edge of the graph with the dates from which each lifecycle stage holds, ascending."""

    id: str
    source: str
    target: str
    material: str
    phase: str | None
    meter_position: str
    pressure_pa: float
    source_party: str | None
    target_party: str | None
    stages: tuple[tuple[date, str], ...]
    family: str = ""
    loss: HubLoss | None = None
    meter_end: str | None = None


@dataclass(frozen=True, slots=True)
class HubSwap:
    """The meter was exchanged at `at_s` (seconds since 1970 UTC): what the old one showed last, the new one first."""

    at_s: float
    last: float | None = None
    first: float | None = None


@dataclass(frozen=True, slots=True)
class HubCounter:
    """How a register counts, in the sensor's own unit: where it starts from zero again, and its fastest rise."""

    rollover_at: float | None = None
    max_per_h: float | None = None
    swaps: tuple[HubSwap, ...] = ()


@dataclass(frozen=True, slots=True)
class HubChecks:
    """Which values are not to be believed, in the sensor's own unit; None: as is usual for the quantity."""

    spike: bool | None = None
    max_change_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class HubSensor:
    """A measuring point; limits and range are in its own unit, `si = value * si_factor + si_offset`.

    `manual`: people read it, seldom and each time anew. `resolution`: smallest step of what it shows.
    """

    sensor_id: int
    id: str
    party: str
    quantity: str
    role: str
    stream: str | None
    node: str | None
    si_factor: float
    si_offset: float
    limit_pct: float
    limit_abs: float
    random_pct: float
    random_abs: float
    range_low: float | None
    range_high: float | None
    period_s: float | None
    manual: bool = False
    component: str | None = None
    resolution: float | None = None
    counter: HubCounter = HubCounter()
    checks: HubChecks = HubChecks()


@dataclass(frozen=True, slots=True)
class HubLotType:
    """Things whose code begins with `prefix` and the mass of one."""

    id: str
    prefix: str
    material: str
    mass_kg: float
    sd_kg: float


@dataclass(frozen=True, slots=True)
class HubSpec:
    """Limits of a sensor's value, in its own unit, that hold for `share` of the time at least."""

    sensor: str
    low: float | None
    high: float | None
    share: float


@dataclass(frozen=True, slots=True)
class HubAgreement:
    """What was agreed per calendar period; `amount_si` in J or kg, `tolerance` as a share.

    `load_si`: of one delivery, where they come in loads.
    """

    id: str
    stream: str
    quantity: str
    amount_si: float
    period: str
    tolerance: float
    valid_from: date
    valid_to: date | None
    load_si: float | None = None
    specs: tuple[HubSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class HubVessel:
    """The shape of a stock, volume in m³ over height in m, and the density of what is in it with its deviation."""

    node: str
    heights_m: tuple[float, ...]
    volumes_m3: tuple[float, ...]
    density_kg_m3: float
    density_sd_kg_m3: float


@dataclass(frozen=True, slots=True)
class TwinHub:
    """One applied version of the hub. `fixed_tags`: codes of the tag table are mounted at places.

    `balance_s`: length of the intervals over which balances are closed, in whole steps.
    """

    version: int
    timezone: str
    step_s: int
    nodes: tuple[HubNode, ...]
    streams: tuple[HubStream, ...]
    sensors: tuple[HubSensor, ...]
    lot_types: tuple[HubLotType, ...]
    agreements: tuple[HubAgreement, ...]
    fixed_tags: bool
    balance_s: int = 900
    vessels: tuple[HubVessel, ...] = ()


def load_twin_hub(connection: Connection) -> TwinHub:
    """The hub as applied now; ConfigurationError when none is."""
    hub = connection.execute("SELECT version_id, timezone, step_s, balance_s FROM sidestream.hub").fetchone()
    if hub is None:
        raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
    version, timezone, step_s, balance_s = hub
    if balance_s % step_s:  # a hub that was applied before there were balances
        balance_s = interval_s(step_s, None)
    tags = connection.execute("SELECT EXISTS (SELECT FROM sidestream_v.tag)").fetchone()
    return TwinHub(
        version=version,
        timezone=timezone,
        step_s=step_s,
        nodes=_nodes(connection),
        streams=_streams(connection),
        sensors=_sensors(connection),
        lot_types=_lot_types(connection),
        agreements=_agreements(connection),
        fixed_tags=bool(tags and tags[0]),
        balance_s=balance_s,
        vessels=_vessels(connection),
    )


def _nodes(connection: Connection) -> tuple[HubNode, ...]:
    rows = connection.execute(
        "SELECT n.id, n.kind, n.material, n.min_kg, n.max_kg, n.start_kg, n.start_sd_kg, n.start_at, n.conserves,"
        " n.hold_up_kg, n.loss, n.yields, COALESCE(m.family, n.material, '')"
        " FROM sidestream.node n LEFT JOIN sidestream.material m ON m.id = n.material ORDER BY n.id"
    )
    return tuple(HubNode(*(*row[:8], *_rules(row[8:12]), row[12])) for row in rows)


def _rules(row: Sequence[Any]) -> tuple[object, ...]:
    conserves, hold_up_kg, loss, yields = row
    made = tuple(HubYield(**each) for each in yields)
    return None if conserves is None else tuple(conserves), hold_up_kg, loss_of(loss), made


def loss_of(said: Mapping[str, float] | None) -> HubLoss | None:
    """A loss in SI from the words of hub.yaml, which the database keeps."""
    if said is None:
        return None
    kw, share_pct = said["kw"], said["share_pct"]
    return HubLoss(
        heat_w=None if kw is None else kw * 1000,
        share=None if share_pct is None else share_pct / 100,
        length_m=said["length_m"],
        u_w_m_k=said["w_m_k"],
        surroundings_k=said["surroundings_c"] + ZERO_CELSIUS_K,
        sd_share=said["sd_pct"] / 100,
    )


def _vessels(connection: Connection) -> tuple[HubVessel, ...]:
    rows = connection.execute(
        "SELECT node, heights_m, volumes_m3, density_kg_m3, density_sd_kg_m3 FROM sidestream_v.vessel ORDER BY node"
    )
    return tuple(HubVessel(row[0], tuple(row[1]), tuple(row[2]), row[3], row[4]) for row in rows)


def _streams(connection: Connection) -> tuple[HubStream, ...]:
    stages: dict[str, list[tuple[date, str]]] = {}
    for stream, since, state in connection.execute(
        "SELECT stream, since, state FROM sidestream_v.stream_stage ORDER BY stream, since"
    ):
        stages.setdefault(stream, []).append((since, state))
    rows = connection.execute(
        "SELECT v.id, v.source, v.target, v.material, v.phase, v.meter_position, v.pressure_pa, v.source_party,"
        " v.target_party, COALESCE(m.family, v.material), s.loss, s.meter_end"
        " FROM sidestream_v.stream v JOIN sidestream.stream s ON s.id = v.id"
        " LEFT JOIN sidestream.material m ON m.id = v.material ORDER BY v.id"
    )
    return tuple(
        HubStream(*(*row[:9], tuple(stages.get(row[0], ())), row[9], loss_of(row[10]), row[11])) for row in rows
    )


def _sensors(connection: Connection) -> tuple[HubSensor, ...]:
    rows = connection.execute(
        "SELECT s.sensor_id, s.id, d.party, s.quantity, s.role, s.stream, s.node, s.si_factor, s.si_offset, s.limit_pct,"
        " s.limit_abs, s.random_pct, s.random_abs, s.range_low, s.range_high, s.period_s, s.manual, s.component,"
        " s.resolution, s.counter, s.checks"
        " FROM sidestream.sensor s JOIN sidestream.device d USING (device_id) WHERE s.removed_at IS NULL ORDER BY s.id"
    )
    return tuple(HubSensor(*(*row[:-2], counter_of(row[-2]), checks_of(row[-1]))) for row in rows)


def counter_of(said: Mapping[str, Any] | None) -> HubCounter:
    """How a register counts, from the words of hub.yaml, which the database keeps."""
    if said is None:
        return HubCounter()
    swaps = ((datetime.fromisoformat(swap["at"]), swap["last"], swap["first"]) for swap in said["swaps"])
    return HubCounter(
        said["rollover_at"], said["max_per_h"], tuple(HubSwap(at.timestamp(), *shown) for at, *shown in swaps)
    )


def checks_of(said: Mapping[str, Any] | None) -> HubChecks:
    """What is checked, from the words of hub.yaml."""
    return HubChecks() if said is None else HubChecks(said["spike"], said["max_change_per_s"])


def _lot_types(connection: Connection) -> tuple[HubLotType, ...]:
    rows = connection.execute("SELECT id, prefix, material, mass_kg, sd_kg FROM sidestream_v.lot_type ORDER BY id")
    return tuple(HubLotType(*row) for row in rows)


def _agreements(connection: Connection) -> tuple[HubAgreement, ...]:
    rows = connection.execute(
        "SELECT id, stream, quantity, amount * si_factor, period, tolerance_pct / 100, valid_from, valid_to,"
        " load_amount * si_factor FROM sidestream_v.agreement ORDER BY id"
    ).fetchall()
    specs: dict[str, list[HubSpec]] = {}
    for agreement, *spec in connection.execute(
        "SELECT agreement, sensor, low, high, share FROM sidestream_v.agreement_spec ORDER BY agreement, sensor"
    ):
        specs.setdefault(agreement, []).append(HubSpec(*spec))
    return tuple(HubAgreement(*(*row, tuple(specs.get(row[0], ())))) for row in rows)

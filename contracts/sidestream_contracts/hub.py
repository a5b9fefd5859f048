"""`hub.yaml`: what things mean. Parties, materials, nodes, streams, sensors, lots, agreements of one hub.

Attributes carry their unit in the name where it is fixed (`min_kg`), else a UCUM `unit` beside the value.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from sidestream_contracts.balances import Domain
from sidestream_contracts.ids import Id
from sidestream_contracts.metering import Checks, Counter
from sidestream_contracts.part import FilePart

Phase = Literal["solid", "sludge", "liquid", "gas", "steam", "water", "heat", "item", "electricity"]
NodeKind = Literal["process", "stock", "store", "exchanger", "junction", "border"]
Lifecycle = Literal["idea", "agreed", "building", "live", "paused", "ended"]
Disclosure = Literal["private", "bilateral", "hub", "public"]
Period = Literal["day", "week", "month", "year"]
Role = Literal[
    "mass_flow",
    "volume_flow",
    "supply_temperature",
    "return_temperature",
    "volume_register",
    "supply_register",
    "return_register",
    "energy_register",
    "power",
    "mass_register",
    "weighing",
    "stock_mass",
    "share",
    "level",
    "scan",
    "other",
]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
LiquidCelsius = Annotated[float, Field(ge=0, le=300)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Hub(FilePart):
    """The hub itself; `synthetic` marks every figure of it as made up, wherever it is shown."""

    id: Id
    name: str
    timezone: str = Field(description="IANA zone; calendar periods of agreements are of this zone")
    synthetic: bool = Field(default=False, description="true where the figures are made up; every view says so")
    step_s: int = Field(default=60, ge=1, le=3600, description="length of the twin's steps in seconds")
    balance_s: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="interval over which balances are closed, in seconds: whole steps, a whole number of times a day; "
        "default: 900, in whole steps",
    )
    late_days: int = Field(default=400, ge=1, description="oldest live reading taken at the door, in days")
    early_s: int = Field(default=300, ge=1, description="how far ahead of the hub's clock a live reading may be, s")
    settle_s: int = Field(
        default=900,
        ge=0,
        description="a figure is published once it has stood so long after its period ended; one that changes later is kept",
    )


class Party(FilePart):
    """A company or body in the hub."""

    id: Id
    name: str


class Content(FilePart):
    """How much of a component a material has, in % of its mass; `moisture` is the component that dries out."""

    component: Id
    pct: Percent = Field(description="as far as it is known beforehand; a sensor with role share tells it live")
    sd_pct: Positive = Field(description="standard deviation, in % of the material's mass")


class Limit(FilePart):
    """How much of a component a receiver takes, in % of the material's mass."""

    component: Id
    max_pct: Percent | None = None
    min_pct: Percent | None = None


class Material(FilePart):
    """One entry of the hub's catalogue: one canonical id, whatever each party calls it."""

    id: Id
    name: str
    phase: Phase
    family: Id | None = Field(
        default=None,
        description="materials of one family are one thing in the mass balance, e.g. slag and crushed slag; default: its id",
    )
    contents: list[Content] = Field(default=[], description="what it is made of")
    limits: list[Limit] = Field(default=[], description="its specification")
    ewc: str | None = Field(default=None, pattern=r"^\d{2} \d{2} \d{2}\*?$", description="European waste code")
    aliases: dict[Id, str] = Field(default={}, description="what a party calls it: party id → name")


class Mass(FilePart):
    """A known mass at a time, e.g. a counted stock."""

    mass_kg: NotNegative
    sd_kg: Positive
    at: AwareDatetime


class Loss(FilePart):
    """What is lost on the way without a meter, as far as it can be told beforehand. Give one of the three forms.

    `kw`: always so much. `share_pct`: a share of what enters. `length_m` with `w_m_k`: a pair of pipes, each losing so
    many watts per metre and kelvin above its surroundings, at the temperatures that the stream's heat meter shows.
    """

    kw: NotNegative | None = Field(default=None, description="heat lost, kW")
    share_pct: Percent | None = Field(default=None, description="% of what enters")
    length_m: Positive | None = Field(default=None, description="length of the pair of pipes, m")
    w_m_k: Positive | None = Field(default=None, description="heat loss of one pipe, W per metre and kelvin")
    surroundings_c: float = Field(default=8.0, description="temperature around the pipes, °C")
    sd_pct: Positive = Field(default=20.0, description="standard deviation of the loss, % of it")


class Yield(FilePart):
    """What a process makes: `output` is `ratio` times `input` (kg per kg, or J per J), give or take `sd`.

    Several inputs of one output add up.
    """

    input: Id = Field(description="stream that enters the node")
    output: Id = Field(description="stream that leaves the node")
    ratio: Positive
    sd: Positive = Field(description="standard deviation of the ratio")


class Vessel(FilePart):
    """What turns the height of a stock's filling into its mass, for sensors with role `level`: its shape and density."""

    area_m2: Positive | None = Field(default=None, description="cross-section, where it is the same at every height")
    table: list[tuple[float, float]] | None = Field(
        default=None,
        min_length=2,
        description="else: height in m and volume in m3, rising, straight between the points",
    )
    density_kg_m3: Positive = Field(description="bulk density of what is in it")
    density_sd_kg_m3: NotNegative = Field(
        description="standard deviation of that density; 0 only if it is weighed daily"
    )


class HeatNeed(FilePart):
    """What a receiver of heat can use of it, as far as it is known; `sidestream twin heat` reports by it."""

    lowest_c: LiquidCelsius | None = Field(
        default=None, description="lowest temperature at which it takes heat, e.g. of the water that it warms, °C"
    )
    dt_min_k: NotNegative = Field(default=0.0, description="temperature difference that its heat exchanger needs, K")
    discard_c: LiquidCelsius | None = Field(
        default=None,
        description="temperature down to which heat would be thrown away if nobody took it, °C; default: nothing is "
        "thrown away here, what is not taken goes back to the supplier",
    )
    demand_kw: Positive | None = Field(
        default=None, description="heat that it needs at any time, kW; default: what was agreed, spread evenly"
    )


class Node(FilePart):
    """A place in the graph that belongs to one party; a stock or store holds something.

    What enters a junction, exchanger, stock or store leaves it again or stays there; of a process or border nothing is
    known, unless `conserves` or `yields` tells.
    """

    id: Id
    party: Id
    kind: NodeKind
    name: str
    material: Id | None = Field(default=None, description="what a stock holds")
    min_kg: NotNegative | None = Field(default=None, description="below this a stock runs dry")
    max_kg: Positive | None = Field(default=None, description="above this a stock overflows")
    start: Mass | None = Field(default=None, description="a stock's mass when Sidestream began to follow it")
    conserves: list[Domain] | None = Field(
        default=None,
        description="what neither comes nor goes here unseen; default: both, but nothing at a process or border",
    )
    hold_up_kg: Positive | None = Field(default=None, description="mass that may be inside at any time, unseen")
    loss: Loss | None = Field(default=None, description="heat that is lost here")
    yields: list[Yield] = Field(default=[], description="what a process makes of what")
    vessel: Vessel | None = Field(default=None, description="how a level in m becomes a mass")
    heat_need: HeatNeed | None = Field(default=None, description="what of the heat that enters it can use")
    dumps_heat: bool = Field(
        default=False, description="true: heat that enters goes to air or water unused, e.g. a dump cooler"
    )


class Stage(FilePart):
    """From `since` on the exchange is in this state."""

    state: Lifecycle
    since: date


class Stream(FilePart):
    """An edge of the graph: something flows from one node to another. Only a `live` one counts as flowing."""

    id: Id
    name: str
    source: Id = Field(description="node it leaves")
    target: Id = Field(description="node it enters")
    material: Id
    lifecycle: list[Stage] = Field(min_length=1, description="ascending by date; the last one in force counts")
    meter_position: Literal["supply", "return"] = Field(default="supply", description="leg of a heat meter's flow part")
    pressure_kpa: Positive = Field(default=600.0, description="absolute pressure of a water stream, kPa")
    loss: Loss | None = Field(default=None, description="heat that the pipe loses between its two ends")
    meter_end: Literal["source", "target"] | None = Field(
        default=None,
        description="end at which the stream's only meter sits, where the pipe loses heat; default: whose device reads it",
    )


class Accuracy(FilePart):
    """What a meter may err: `limit` is the class limit (systematic, sd = limit/√3), `random` a standard deviation."""

    limit_pct: Percent = Field(default=0, description="% of the value")
    limit_abs: NotNegative = Field(default=0, description="in the sensor's unit")
    random_pct: Percent = Field(default=0, description="% of the value")
    random_abs: NotNegative = Field(default=0, description="in the sensor's unit")
    source: str | None = Field(default=None, description="where this is known from, e.g. EN 1434 class 2")


class Sensor(FilePart):
    """A measuring point: what it measures, of which stream or at which node, in which unit, how well."""

    id: Id
    device: Id = Field(description="the agent that publishes it")
    name: str
    quantity: str
    unit: str = Field(default="1", description="UCUM code")
    sent_unit: str | None = Field(
        default=None,
        description="UCUM code of what the edge sends, when it isn't `unit`; readings are converted to `unit`",
    )
    role: Role = "other"
    component: Id | None = Field(
        default=None, description="of which component a sensor with role share tells the share"
    )
    stream: Id | None = None
    node: Id | None = None
    accuracy: Accuracy = Accuracy()
    range: tuple[float, float] | None = Field(default=None, description="plausible values, in `unit`")
    resolution: Positive | None = Field(
        default=None, description="smallest step of what it shows, in `unit`, e.g. 0.1; its rounding is a random error"
    )
    counter: Counter | None = Field(default=None, description="how a register counts, and when its meter was exchanged")
    checks: Checks | None = Field(default=None, description="when a value is not to be believed")
    period_s: Positive | None = Field(default=None, description="expected time between readings, s")


class Device(FilePart):
    """A publishing agent and whose it is; a `manual` one is people, who enter what they counted, weighed or read."""

    id: Id
    party: Id
    name: str
    kind: Literal["agent", "manual"] = "agent"


class LotType(FilePart):
    """Tagged things whose code begins with `prefix`: big bags, pallets, containers."""

    id: Id
    name: str
    prefix: str = Field(min_length=1)
    material: Id
    mass_kg: NotNegative = Field(description="nominal mass of one")
    sd_kg: NotNegative = Field(description="standard deviation of one lot's mass")


class TagFile(FilePart):
    """A CSV that says at which node each fixed tag is mounted; `place_prefix` + value of the column is the node's id."""

    file: str = Field(description="path, relative to hub.yaml")
    code_column: str
    place_column: str
    place_prefix: str = ""


class Spec(FilePart):
    """A limit of quality: what a sensor shows, in its own unit, at least or at most, for most of the time."""

    sensor: Id
    min: float | None = None
    max: float | None = None
    time_pct: Percent = Field(default=95, description="% of the running time for which it is kept")


class Stop(FilePart):
    """A planned stop of a node or of a stream: nothing is expected of it, and nothing is breached, while it lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    id: Id
    node: Id | None = None
    stream: Id | None = None
    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime | None = Field(default=None, description="until further notice where it is left out")
    why: str = Field(min_length=1)


class Agreement(FilePart):
    """What two parties agreed: how much of a stream per calendar period, within which tolerance."""

    id: Id
    name: str
    stream: Id
    supplier: Id
    receiver: Id
    amount: Positive
    unit: str = Field(description="UCUM code of energy or mass, e.g. MW.h or t")
    period: Period
    tolerance_pct: NotNegative
    valid_from: date
    valid_to: date | None = None
    disclosure: Disclosure = "private"
    load: Positive | None = Field(
        default=None, description="amount of one delivery, in `unit`, where it comes in loads and does not flow"
    )
    spec: list[Spec] = Field(default=[], description="what was agreed of the quality")


class BenefitFactor(FilePart):
    """A factor that turns an amount into a benefit, with its source."""

    id: Id
    value: float
    unit: str
    source: str


Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(FilePart):
    """After how many days something is dropped; what is not named is kept for ever. Recorded readings always are."""

    readings_days: Days | None = Field(default=None, description="live readings; not less than late_days")
    rollup_1m_days: Days | None = Field(default=None, description="minute roll-ups; hours and days are always kept")
    twin_values_days: Days | None = Field(
        default=None, description="the twin's steps; sums per quarter of an hour stay"
    )
    scans_days: Days | None = Field(
        default=None, description="scans of lots that were not seen since; not less than late_days"
    )
    quarantine_days: Days | None = Field(
        default=400, description="entries replayed or discarded so long ago; open ones stay"
    )
    ledger_days: Days | None = Field(default=90, description="single frames of the ledger; what is applied stays known")


class HubFile(FilePart):
    """The whole of `hub.yaml`, version 1."""

    version: Literal[1]
    hub: Hub
    parties: list[Party] = Field(min_length=1)
    materials: list[Material] = Field(default=[])
    devices: list[Device] = Field(default=[])
    nodes: list[Node] = Field(default=[])
    streams: list[Stream] = Field(default=[])
    sensors: list[Sensor] = Field(default=[])
    lots: list[LotType] = Field(default=[])
    tags: TagFile | None = None
    agreements: list[Agreement] = Field(default=[])
    stops: list[Stop] = Field(default=[])
    benefit_factors: list[BenefitFactor] = Field(default=[])
    retention: Retention = Retention()

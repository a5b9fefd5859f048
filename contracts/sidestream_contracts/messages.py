"""The other messages v1: status (retained), command, the hub's acknowledgement and its hello."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sidestream_contracts.frame import ClockSync, Lane
from sidestream_contracts.ids import Id

Count = Annotated[int, Field(ge=0)]
Delivery = Literal["once", "at_least_once"]


class _Part(BaseModel):
    """Unknown fields are kept, for a newer sender may say more."""

    model_config = ConfigDict(extra="allow")


class _Message(_Part):
    v: Literal[1] = 1


class AnnouncedSensor(_Part):
    """A sensor as the edge knows it; enough for the hub to offer a ready snippet for `hub.yaml`."""

    id: Id
    driver: Id
    unit: str | None = None
    quantity: str | None = None
    delivery: Delivery | None = Field(
        default=None,
        description="what the edge promises of each measurement: once, or at least once where its source gives no time "
        "by which a repetition could be known",
    )


class DriverStatus(_Part):
    """How one driver of an agent is doing."""

    id: Id
    type: str
    state: Literal["starting", "running", "failed", "hung", "finished"]
    restarts: Count = 0
    last_good_at: AwareDatetime | None = None
    error: str | None = Field(default=None, description="what is wrong now, or else was wrong last with its data")
    trouble: str | None = Field(default=None, description="what is wrong now")
    counters: dict[str, Count] = Field(default={}, description="what the driver counts of itself")


class LaneStatus(_Part):
    """What still waits in one lane of the outbox."""

    lane: Lane
    frames: Count
    oldest_at: AwareDatetime | None = None


class Status(_Message):
    """Retained state of an agent; the last will says `offline`, with the epoch it belongs to."""

    state: Literal["online", "offline"]
    epoch: str
    at: AwareDatetime
    agent: str | None = None
    sensors: list[AnnouncedSensor] = []
    drivers: list[DriverStatus] = []
    outbox: list[LaneStatus] = []
    sync: ClockSync | None = Field(default=None, description="whether the agent's clock is kept right by NTP or PTP")
    parked: Count = Field(default=0, description="frames kept apart because the broker would not carry them")
    outbox_bytes: Count | None = Field(default=None, description="what waits and what is parked")
    outbox_limit_bytes: Count | None = Field(default=None, description="how much the outbox may hold")
    held: dict[Lane, str] = Field(
        default={}, description="lanes from whose drivers nothing is taken now, each with the reason"
    )
    refused: dict[str, Count] = Field(
        default={}, description="readings that live drivers had to drop since the agent's start, by reason"
    )


class Command(_Message):
    """What the hub asks of an agent."""

    id: str
    do: Literal["resend", "report"]
    args: dict[str, Any] = {}


class Refusal(_Part):
    """What of the device's own frames the hub could not use: it lies in quarantine, with its bytes."""

    sensor: str | None = Field(default=None, description="none where the whole message can't be used")
    reason: str = Field(description="as in docs/quarantine.md")
    text: str = Field(description="a sentence for people, with what to do where it is known")


class Acknowledgement(_Message):
    """Everything in `lane` of `epoch` up to `upto`, and in the ranges `also`, is committed in the hub's database."""

    epoch: str = Field(pattern=r"^[0-9a-f]{32}$")
    lane: Lane
    upto: Count
    also: list[tuple[int, int]] = Field(default=[], description="closed ranges above `upto`, ascending")
    at: AwareDatetime | None = Field(default=None, description="the hub's clock when it said so")
    refused: list[Refusal] = Field(
        default=[],
        description="what of the frames just committed could not be used; told once, some of it if it is much",
    )


class Hello(_Message):
    """A worker of the hub has come up: send again what is not acknowledged."""

    worker: str
    at: AwareDatetime

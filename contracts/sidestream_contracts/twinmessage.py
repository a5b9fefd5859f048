"""The hub's figures out again: one retained message per figure and receiving party.

`sidestream/v1/{hub}/{party}/twin/{kind}/{subject}/{quantity}`: `{party}` is who may read it, so that the broker's access
rules decide by topic alone. It has eight levels, a device's topic six, so neither is ever taken for the other. An
empty retained message says that the figure is no longer given: the subject left the hub, ended, or is another's now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sidestream_contracts.errors import ContractError
from sidestream_contracts.ids import ID_PATTERN, Id
from sidestream_contracts.topics import PREFIX

SubjectKind = Literal["stream", "node"]
_ID = ID_PATTERN.strip("^$")
_TOPIC = re.compile(rf"{PREFIX}/({_ID})/({_ID})/twin/({'|'.join(get_args(SubjectKind))})/({_ID})/({_ID})")
Spread = Annotated[float | None, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class TwinAddress:
    """One figure as one party is given it."""

    hub: str
    party: str
    kind: str
    subject: str
    quantity: str

    @property
    def topic(self) -> str:
        """The one topic of this figure for this party."""
        return f"{PREFIX}/{self.hub}/{self.party}/twin/{self.kind}/{self.subject}/{self.quantity}"


def parse_twin_topic(topic: str) -> TwinAddress:
    """What a topic of figures is about; ContractError `bad_topic` for anything else."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise ContractError(
            "bad_topic", f"Topic {topic!r} is not {PREFIX}/<hub>/<party>/twin/<stream|node>/<subject>/<quantity>."
        )
    return TwinAddress(*match.groups())


def twin_filter(hub: str) -> str:
    """Subscription filter for every figure that a hub gives to anybody."""
    return f"{PREFIX}/{hub}/+/twin/#"


class Shown(BaseModel):
    """The same value in the unit in which people read it."""

    model_config = ConfigDict(extra="allow")

    value: float | None
    sd: Spread
    unit: str = Field(description="UCUM code")


class TwinMessage(BaseModel):
    """The twin's newest value of one quantity, SI; `null` is not known, never zero. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    v: Literal[1] = 1
    hub: Id
    kind: SubjectKind
    subject: Id
    quantity: Id
    value: float | None
    unit: str = Field(description="UCUM code of the SI unit of `value` and the standard deviations")
    sd: Spread = Field(description="standard deviation of `value`")
    sd_random: Spread = Field(description="the part of `sd` that averages out")
    sd_systematic: Spread = Field(description="the part of `sd` that does not")
    shown: Shown
    time: AwareDatetime = Field(description="start of the step; a stock's value is that at the step's end")
    step_s: int = Field(ge=1, description="length of the step, s")
    origin: str = Field(description="measured, reconciled, estimated, forecast, agreed or manual")
    completeness: float = Field(ge=0, le=1, description="share of the step for which the inputs are known")
    stale: bool = Field(description="too old to be the state of now when this was published")
    flags: list[str] = Field(default=[], description="machine-readable remarks of the twin on this value")
    synthetic: bool = Field(description="true: the figures of this hub are made up, and must be shown so")
    config_version: int = Field(ge=1, description="version of the applied hub file")
    computed_at: AwareDatetime

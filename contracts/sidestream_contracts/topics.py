"""MQTT topics v1: `sidestream/v1/{hub}/{party}/{device}/{channel}` and the hub's own `sidestream/v1/{hub}/hello`.

`{device}` is the publishing agent; sensors are named inside the frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from sidestream_contracts.errors import ContractError
from sidestream_contracts.ids import ID_PATTERN

Channel = Literal["readings", "scans", "status", "cmd", "ack"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
PREFIX = "sidestream/v1"

_ID = ID_PATTERN.strip("^$")
_TOPIC = re.compile(rf"{PREFIX}/({_ID})/({_ID})/({_ID})/({'|'.join(CHANNELS)})")


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """A publishing agent: which hub, whose, which device."""

    hub: str
    party: str
    device: str

    def topic(self, channel: Channel) -> str:
        """The one topic of this device for `channel`."""
        return f"{PREFIX}/{self.hub}/{self.party}/{self.device}/{channel}"


@lru_cache(maxsize=4096)
def parse_topic(topic: str) -> tuple[DeviceAddress, Channel]:
    """Address and channel of a device topic; ContractError `bad_topic` for anything else."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise ContractError(
            "bad_topic", f"Topic {topic!r} is not {PREFIX}/<hub>/<party>/<device>/<{'|'.join(CHANNELS)}>."
        )
    hub, party, device, channel = match.groups()
    return DeviceAddress(hub, party, device), channel  # type: ignore[return-value]


def hub_filter(hub: str, channel: Channel) -> str:
    """Subscription filter for one channel of every device in a hub."""
    return f"{PREFIX}/{hub}/+/+/{channel}"


def hello_topic(hub: str) -> str:
    """Where an ingest worker says that it has come up, so that every edge sends again what is not acknowledged."""
    return f"{PREFIX}/{hub}/hello"

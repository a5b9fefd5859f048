"""Topics of figures: read back as written, and never taken for a device's, whatever the ids are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from sidestream_contracts.errors import ContractError
from sidestream_contracts.ids import ID_PATTERN
from sidestream_contracts.topics import CHANNELS, DeviceAddress, hub_filter, parse_topic
from sidestream_contracts.twinmessage import TwinAddress, parse_twin_topic, twin_filter

IDS = st.from_regex(ID_PATTERN.removesuffix("$"), fullmatch=True) | st.sampled_from(
    ["twin", "ack", "readings", "stream"]
)
ADDRESSES = st.builds(TwinAddress, IDS, IDS, st.sampled_from(["stream", "node"]), IDS, IDS)


@given(ADDRESSES)
def test_a_topic_is_read_back_as_written_and_matches_its_filter(address):
    assert parse_twin_topic(address.topic) == address
    assert topic_matches_sub(twin_filter(address.hub), address.topic)


@given(ADDRESSES)
def test_no_figure_is_taken_for_a_devices_message(address):
    assert not any(topic_matches_sub(hub_filter(address.hub, channel), address.topic) for channel in CHANNELS)
    with pytest.raises(ContractError):
        parse_topic(address.topic)


@given(IDS, IDS, st.sampled_from(["twin", "gw"]), st.sampled_from(CHANNELS))
def test_no_devices_message_is_taken_for_a_figure_even_of_a_device_called_twin(hub, party, device, channel):
    with pytest.raises(ContractError):
        parse_twin_topic(DeviceAddress(hub, party, device).topic(channel))

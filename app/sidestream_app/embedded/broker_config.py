"""The settings of both embedded brokers: nothing dropped that fits, memory bounded, loopback only."""

from __future__ import annotations

from enum import StrEnum

DEFAULT_MAX_PAYLOAD_BYTES = 1_048_576
PACKET_HEADROOM_BYTES = 8_192
"""Room for topic and MQTT properties around a payload; brokers limit the packet, we promise a payload."""
QUEUE_LIMIT_BYTES = 268_435_456
"""Per client. Beyond it the broker drops, and the edge sends again: an unread queue must not eat the machine."""
MAX_CONNECTIONS = 1_000
_SEGMENTS = 8
_SEGMENT_BYTES = 4_194_304


class BrokerKind(StrEnum):
    """Which program is the broker."""

    MOSQUITTO = "mosquitto"
    IOTCORE = "iotcore"


def max_packet_bytes(max_payload_bytes: int) -> int:
    """The largest MQTT packet for payloads up to `max_payload_bytes`."""
    return max_payload_bytes + PACKET_HEADROOM_BYTES


def mosquitto_config(host: str, port: int, max_payload_bytes: int) -> str:
    """mosquitto.conf. The defaults keep 1000 queued messages and drop the rest after acknowledging them; 0 = no such limit.

    `max_inflight_messages 0` leaves the number of unacknowledged messages to each client's own receive maximum, so that
    no batch of a client can wait for messages that the broker holds back. `max_packet_size` is announced at connect.
    """
    return f"""\
listener {port} {host}
allow_anonymous true
persistence false
max_queued_messages 0
max_queued_bytes {QUEUE_LIMIT_BYTES}
max_inflight_messages 0
max_packet_size {max_packet_bytes(max_payload_bytes)}
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""


def rumqttd_config(host: str, port: int, max_payload_bytes: int) -> str:
    """A TOML for rumqttd with one MQTT 5 listener. What it calls payload size is the packet's remaining length.

    It keeps a log per subscribed filter, also of what was delivered: 8 segments, so at least 32 MB a filter, and
    a reader that falls further behind misses messages (the edge sends them again).
    """
    segment_bytes = max(_SEGMENT_BYTES, 4 * max_packet_bytes(max_payload_bytes))
    return f"""\
id = 0

[router]
id = 0
max_connections = {MAX_CONNECTIONS}
max_outgoing_packet_count = 200
max_segment_size = {segment_bytes}
max_segment_count = {_SEGMENTS}

[v5.1]
name = "mqtt5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {max_packet_bytes(max_payload_bytes)}
max_inflight_count = 200
dynamic_filters = true
"""

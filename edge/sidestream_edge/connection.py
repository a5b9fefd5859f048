"""One MQTT 5 connection from CONNECT to its end, driven by the publisher's own thread.

A new client object is made for each connection and no thread of the library runs: nothing is queued while offline,
nothing of an old connection is sent again by itself, and an exception can't kill a thread that nobody watches. What
happens is handed over as events.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidestream_contracts.edge_brokers import Broker
from sidestream_contracts.errors import ConfigurationError, TransientError

CONNECT_TIMEOUT_S = 5.0
MAX_QUEUE = 128
"""Packets that the library may hold for the wire; above the window of 64 frames, so that it is never met in practice."""

PublishProperties = Properties
"""What travels beside a payload."""

_GARBAGE = (MQTTException, ValueError, struct.error, IndexError, KeyError, TypeError, UnicodeError)
"""What the library raises while it parses what no broker should send."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted us; its limits, where it told them."""

    packet_limit_bytes: int | None
    receive_maximum: int | None
    resumed: bool = False
    """The broker had kept our session, with what came in it meanwhile."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message on a topic we subscribed to; `mid` is what `acknowledge` wants, where that is done by hand."""

    topic: str
    payload: bytes
    mid: int = 0
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The broker's PUBACK; `refusal` says why it would not take the message."""

    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A subscription was not granted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is over; `by_peer` when the other side ended it, with its reason code where it gave one."""

    reason: str
    code: int | None
    by_peer: bool


Event = Connected | Received | Confirmed | Refused | Lost


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when we vanish."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Keep:
    """A session that outlives the connection: the broker keeps messages for us, and we confirm each by hand."""

    expiry_s: int
    receive_maximum: int


class Connection:
    """A connection that is being made or stands; TransientError from the constructor when the broker can't be reached."""

    def __init__(self, broker: Broker, client_id: str, will: Will | None = None, keep: Keep | None = None) -> None:
        self._events: list[Event] = []
        self._closing = False
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5, manual_ack=keep is not None
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MAX_QUEUE)
        client.max_queued_messages_set(MAX_QUEUE)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        _secure(client, broker)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = keep.expiry_s if keep else 0
        if keep:
            session.ReceiveMaximum = keep.receive_maximum
        try:
            client.connect(broker.host, broker.port, broker.keepalive_s, clean_start=keep is None, properties=session)
        except (OSError, UnicodeError) as error:
            raise TransientError(
                f"The broker {broker.host}:{broker.port} can't be reached: {error}. Trying again; if it stays so,"
                " check broker.host and broker.port in edge.yaml and the network."
            ) from error

    def turn(self, timeout_s: float, wake: socket.socket | None = None) -> list[Event]:
        """What happened on the line within `timeout_s`; returns early when something did or `wake` becomes readable."""
        sock: Any = self._client.socket()
        if sock is not None and not self._events:
            try:
                waiting = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
                writers = [sock] if self._client.want_write() else []
                readable, writable, _ = select.select(
                    [sock, wake] if wake else [sock], writers, [], 0 if waiting else timeout_s
                )
                if sock in readable or waiting:
                    self._client.loop_read()
                if writable and self._client.socket() is not None:
                    self._client.loop_write()
                if self._client.socket() is not None:
                    self._client.loop_misc()
            except _GARBAGE as error:
                self._events.append(Lost(f"the broker sent what is no MQTT 5: {error}", None, by_peer=False))
        events, self._events = self._events, []
        return events

    def subscribe(self, topics: list[str]) -> None:
        """Asks for `topics`; a refusal comes as an event."""
        if self._client.socket() is None:
            return
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])

    def acknowledge(self, mid: int) -> None:
        """Confirms a message of this very connection, where `keep` was asked for."""
        if self._client.socket() is not None:
            self._client.ack(mid, 1)

    def publish(
        self, topic: str, payload: bytes, properties: Properties | None = None, *, retain: bool = False, qos: int = 1
    ) -> int | None:
        """Message id under which the PUBACK will come; None when the connection no longer takes anything."""
        if self._client.socket() is None:
            return None
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return info.mid if info.rc == mqtt.MQTT_ERR_SUCCESS else None

    def close(self) -> None:
        """Ends the connection in good order, so that the last will is not sent."""
        self._closing = True
        if self._client.socket() is not None:
            self._client.disconnect()
        self.abandon()

    def abandon(self) -> None:
        """Ends the connection without a word, as a cut line does."""
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()

    def _on_connect(
        self, _c: mqtt.Client, _u: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._events.append(Lost(f"the broker refused us: {reason}", reason.value, by_peer=True))
            return
        told: Mapping[str, Any] = properties.json() if properties is not None else {}  # type: ignore[no-untyped-call]
        self._events.append(
            Connected(told.get("MaximumPacketSize"), told.get("ReceiveMaximum"), bool(flags.session_present))
        )

    def _on_message(self, _c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
        self._events.append(Received(message.topic, bytes(message.payload), message.mid, message.retain))

    def _on_publish(self, _c: mqtt.Client, _u: Any, mid: int, reason: ReasonCode, _p: Properties | None) -> None:
        self._events.append(Confirmed(mid, str(reason) if reason.is_failure else None))

    def _on_subscribe(
        self, _c: mqtt.Client, _u: Any, _mid: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._events.extend(Refused(str(reason)) for reason in reasons if reason.is_failure)

    def _on_disconnect(self, _c: mqtt.Client, _u: Any, flags: Any, reason: ReasonCode, _p: Properties | None) -> None:
        told = bool(flags.is_disconnect_packet_from_server)
        silent = reason.getName() == "Keep alive timeout"
        text = str(reason) if told else "no sign of life within the keep-alive" if silent else "the line was cut"
        by_peer = not self._closing and not silent
        self._events.append(Lost(text, reason.value if told else None, by_peer=by_peer))


def publish_properties(pairs: list[tuple[str, str]], expiry_s: float) -> Properties:
    """User properties of a frame, with the message's life on the broker in whole seconds."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = pairs
    properties.MessageExpiryInterval = max(1, round(expiry_s))
    return properties


def packet_bytes(topic: str, payload: bytes, properties: Properties) -> int:
    """Size of the PUBLISH packet on the wire, at most 3 bytes too high (MQTT 5.0, 3.3)."""
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return 1 + 4 + 2 + len(topic.encode()) + 2 + len(packed) + len(payload)


def _secure(client: mqtt.Client, broker: Broker) -> None:
    if broker.ca_file is None:
        return
    try:
        client.tls_set(broker.ca_file, broker.cert_file, broker.key_file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"TLS to {broker.host}:{broker.port} can't be set up from {broker.ca_file}, {broker.cert_file},"
            f" {broker.key_file}: {error}. Check broker.ca_file, cert_file and key_file in edge.yaml."
        ) from error

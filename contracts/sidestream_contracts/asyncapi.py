"""AsyncAPI 3.0 of all channels, told from the hub's side: what it receives, what it sends, with which MQTT settings.

The document stands alone. Its payloads are the message schemas in the dialect that AsyncAPI itself speaks (draft 7).
"""

from __future__ import annotations

from typing import Any, get_args

from sidestream_contracts.frame import LANES, ClockSync
from sidestream_contracts.ids import ID_PATTERN
from sidestream_contracts.topics import CHANNELS, DeviceAddress, hello_topic
from sidestream_contracts.twinmessage import TwinAddress

Schema = dict[str, Any]

_BINDING = "0.2.0"
_PARAMETERS = {
    "hub": "id of the hub",
    "party": "id of the party that the device belongs to, or that may read the figure",
    "device": "id of the publishing agent; sensors are named inside the message",
    "kind": "`stream` or `node`",
    "subject": "id of the stream or node",
    "quantity": "what the figure is: heat_flow, mass_flow, power, stock_mass, …",
}
_CARRIES: dict[str, tuple[str, ...]] = {
    "readings": ("frame.readings", "frame.parked"),
    "scans": ("frame.scans", "frame.parked"),
    "status": ("status",),
    "cmd": ("command",),
    "ack": ("acknowledgement",),
    "hello": ("hello",),
    "twin": ("twin",),
}
_ABOUT: dict[str, tuple[str, int, bool, str]] = {
    "readings": ("receive", 1, False, "Numbers measured by sensors of one device."),
    "scans": ("receive", 1, False, "Codes read by scanners and RFID readers of one device."),
    "status": ("receive", 1, True, "State of an agent; the last will says `offline`."),
    "cmd": ("send", 1, False, "What the hub asks of an agent."),
    "ack": ("send", 0, False, "What is committed in the hub's database and may leave the sender's outbox."),
    "hello": ("send", 0, False, "A worker of the hub has come up; every agent sends again what is not acknowledged."),
    "twin": ("send", 1, True, "A figure of the twin for one party that may read it; empty: it is no longer given."),
}
"""Channel → action of the hub, QoS, retained, meaning."""


def asyncapi(messages: dict[str, Schema]) -> Schema:
    """The document for `messages` (name → JSON Schema); the same schemas always give the same document."""
    schemas: Schema = {}
    for name, schema in messages.items():
        schemas.update({part: _portable(body) for part, body in schema.get("$defs", {}).items()})
        schemas[_component(name)] = _portable({key: value for key, value in schema.items() if key != "$defs"})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sidestream on the wire",
            "version": "1.0.0",
            "description": "MQTT 5 between devices and the hub. Unknown fields are kept, not refused. Delivery is at least "
            "once; the key in the user properties makes each frame count once.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in _CARRIES},
        "operations": {f"{_ABOUT[name][0]}_{name}": _operation(name) for name in _CARRIES},
        "components": {
            "messages": {_component(name): _message(name) for name in messages},
            "messageTraits": {"keyed": {"headers": _key_headers()}},
            "schemas": schemas,
        },
    }


def address(channel: str) -> str:
    """The topic of `channel` with AsyncAPI's `{parameters}`."""
    if channel in CHANNELS:
        return DeviceAddress("{hub}", "{party}", "{device}").topic(channel)
    if channel == "twin":
        return TwinAddress("{hub}", "{party}", "{kind}", "{subject}", "{quantity}").topic
    return hello_topic("{hub}")


def _channel(name: str) -> Schema:
    topic = address(name)
    return {
        "address": topic,
        "description": _ABOUT[name][3],
        "parameters": {
            p: {"description": f"{about}; matches {ID_PATTERN}"}
            for p, about in _PARAMETERS.items()
            if f"{{{p}}}" in topic
        },
        "messages": {_component(m): {"$ref": f"#/components/messages/{_component(m)}"} for m in _CARRIES[name]},
    }


def _operation(name: str) -> Schema:
    action, qos, retain, about = _ABOUT[name]
    return {
        "action": action,
        "summary": about,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{_component(m)}"} for m in _CARRIES[name]],
        "bindings": {"mqtt": {"qos": qos, "retain": retain, "bindingVersion": _BINDING}},
    }


def _message(name: str) -> Schema:
    component = _component(name)
    message: Schema = {
        "name": component,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{component}"},
    }
    if name.startswith("frame."):
        message["traits"] = [{"$ref": "#/components/messageTraits/keyed"}]
    return message


def _key_headers() -> Schema:
    """The MQTT 5 user properties of a frame; see `FrameKey`."""
    hexadecimal = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    return {
        "type": "object",
        "description": "MQTT 5 user properties, all of them text",
        "required": ["epoch", "lane", "seq", "hash"],
        "properties": {
            "epoch": {**hexadecimal, "description": "random 128 bits drawn at each start of the agent"},
            "lane": {"type": "string", "enum": list(LANES), "description": "each lane counts for itself"},
            "seq": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$", "description": "gap-free from 1 in its lane"},
            "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the payload bytes"},
            "prev": {**hexadecimal, "description": "epoch of the start before this one, where there was one"},
            "sent": {
                "type": "string",
                "pattern": "^[1-9][0-9]{0,18}$",
                "description": "µs since 1970-01-01 UTC by the sender's clock, at this very publish; not part of the key",
            },
            "sync": {
                "type": "string",
                "enum": list(get_args(ClockSync)),
                "description": "whether the sender's clock was kept right (NTP, PTP) at this publish; not part of the key",
            },
        },
    }


def _component(name: str) -> str:
    """`frame.readings` → `ReadingsFrame`: a name that may stand in a JSON pointer and in generated code."""
    return "".join(part.capitalize() for part in reversed(name.split(".")))


def _portable(schema: Any) -> Any:
    """The schema in draft 7, with references into this document."""
    if isinstance(schema, list):
        return [_portable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _portable(value) for name, value in schema.items()}
    if "prefixItems" in plain:
        plain["items"] = plain.pop("prefixItems")
    if isinstance(plain.get("$ref"), str):
        plain["$ref"] = plain["$ref"].replace("#/$defs/", "#/components/schemas/")
    return plain

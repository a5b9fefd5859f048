"""The part of `edge.yaml` that reads OPC UA servers: where they are, how the line is secured, which variables are sensors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

DEFAULT_PORT = 4840
Seconds = Annotated[float, Field(gt=0)]
_NODE = re.compile(r"(?:ns=\d{1,5};|nsu=[^;]+;)?(?:i=\d{1,10}|s=.+|g=[0-9A-Fa-f-]{36}|b=[A-Za-z0-9+/]+=*)", re.DOTALL)


def path_names(path: str) -> list[str]:
    """`Plant/Line&/1/Flow` as ["Plant", "Line/1", "Flow"]; a leading `Objects` is left out, for all paths begin there.

    As in OPC 10000-4, A.2, `&` takes its meaning from a slash or an ampersand that follows it.
    """
    names = [""]
    for sign in re.findall(r"&.|.", path, re.DOTALL):
        if sign == "/":
            names.append("")
        else:
            names[-1] += sign[-1]
    first, last = int(names[0] == ""), len(names) - int(len(names) > 1 and names[-1] == "")
    names = names[first:last]
    return names[1:] if names[:1] == ["Objects"] and len(names) > 1 else names


class OpcUaSecurity(FilePart):
    """How the line is signed and encrypted; left out, it is neither."""

    policy: Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = "Basic256Sha256"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    folder: str = Field(
        default="opcua",
        description="relative to edge.yaml: own certificate and key (made at the first start), trusted/ and rejected/ ones of servers",
    )


class OpcUaSensor(FilePart):
    """One variable of the server; `value = raw * scale + offset`, a boolean is 1 or 0."""

    id: Id
    node: str | None = Field(default=None, description="`nsu=urn:plant;s=Line1.Flow`, `i=2258`; better not by `ns=2;…`")
    path: str | None = Field(
        default=None, description="browse names below Objects: `Plant/Line1/Flow`; `&/` is a slash"
    )
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = Field(
        default=None, description="UCUM code, announced to the hub; the server's where it is left out"
    )
    quantity: str | None = Field(default=None, description="announced to the hub")
    ignore_server_unit: bool = Field(default=False, description="the unit that the server tells is known to be wrong")
    deadband: Seconds | None = Field(
        default=None, description="absolute, in the server's unit: smaller changes are not sent"
    )
    deadband_pct: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None, description="of the range (EURange) that the server gives this variable"
    )


class OpcUaDriver(DriverPart):
    """Subscribes to variables of one OPC UA server."""

    type: Literal["opcua"]
    url: Annotated[str, Field(min_length=1)] = Field(description="opc.tcp://host:4840/path")
    security: OpcUaSecurity | None = None
    user: str | None = None
    password: str | None = Field(default=None, description="from the environment: `${SIDESTREAM_PLC_PASSWORD}`")
    plain_password: bool = Field(default=False, description="let the password cross the network in clear text")
    publishing_s: Seconds = Field(default=1.0, description="how often the server sends what has changed")
    sampling_s: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="how often it looks; as `publishing_s` where it is left out, 0 for as often as it can"
    )
    queue: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=600, description="samples of one variable that the server keeps while we are away"
    )
    report: Literal["sample", "change"] = Field(
        default="sample", description="sample: every new source time is a reading, though the value be the same"
    )
    refresh_s: Seconds | None = Field(
        default=None,
        description="ask again for a value of which nothing was heard for so long; the server's answer counts at its time",
    )
    keepalive_s: Seconds = Field(default=5.0, description="longest silence of a server that has nothing to say")
    timeout_s: Seconds = 4.0
    keep_s: Seconds = Field(
        default=300.0, description="how long the server keeps session and queues while the line is cut"
    )
    history: Literal["gap", "off"] = Field(
        default="gap", description="gap: what was missed is read from the server's history"
    )
    sensors: list[OpcUaSensor] = Field(min_length=1)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or DEFAULT_PORT

    @property
    def endpoint(self) -> str:
        """The address with its port."""
        parts = urlsplit(self.url)
        return self.url if parts.port else parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORT}").geturl()

    def announced(self) -> Iterator[AnnouncedSensor]:
        """Its variables, each value delivered once, known by the time of its source."""
        yield from (announced_as(self.id, sensor, "once") for sensor in self.sensors)

    def problems(self, n: int) -> Iterator[Problem]:
        """What can't be meant in its address or mapping."""
        yield from super().problems(n)
        yield from _check_opcua(n, self)


def _check_opcua(n: int, driver: OpcUaDriver) -> Iterator[Problem]:
    """What can't be meant in the mapping of a driver."""
    yield from (Problem(("drivers", n, "url"), f"drivers.{n}.url: {text}") for text in _url_problems(driver.url))
    if driver.password is not None and driver.user is None:
        yield Problem(("drivers", n, "password"), f"drivers.{n}.password: a password needs a `user`")
    held: dict[str, str] = {}
    for k, sensor in enumerate(driver.sensors):
        where, place = f"drivers.{n}.sensors.{k}", ("drivers", n, "sensors", k)
        for text in _sensor_problems(sensor):
            yield Problem(place, f"{where}: {text}")
        key = f"{sensor.node or ''} {sensor.path or ''}"
        if key in held:
            yield Problem(place, f"{where}: {sensor.node or sensor.path!r} is already sensor {held[key]!r}")
        held[key] = sensor.id


def _url_problems(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        found = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        yield f"{url!r} is no address ({error}); write opc.tcp://host:{DEFAULT_PORT}"
        return
    if found[0] != "opc.tcp" or not found[1]:
        yield f"{url!r} is no address of an OPC UA server; write opc.tcp://host:{DEFAULT_PORT} (https and wss are not spoken)"
    elif parts.username or parts.password:
        yield "a user or password in the address ends up in logs; write `user:` and `password: ${NAME}`"


def _sensor_problems(sensor: OpcUaSensor) -> Iterator[str]:
    if (sensor.node is None) == (sensor.path is None):
        yield f"{sensor.id!r} needs either `node` or `path`: which variable of the server it is"
    if sensor.node is not None and not _NODE.fullmatch(sensor.node):
        yield f"node {sensor.node!r} is no node id; write nsu=URI;s=NAME, nsu=URI;i=NUMBER, ns=2;s=NAME or i=NUMBER"
    if sensor.path is not None and not all(path_names(sensor.path) or [""]):
        yield f"path {sensor.path!r} has an empty name in it; write Plant/Line1/Flow"
    if sensor.deadband is not None and sensor.deadband_pct is not None:
        yield "`deadband` and `deadband_pct` exclude each other"
    if sensor.scale == 0:
        yield f"scale 0 makes every reading {sensor.offset:g}; value = raw × scale + offset"

"""What an OPC UA server offers: its endpoints with their security and logins, and its variables with type, unit and value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession
from asyncua.crypto import uacrypto

from sidestream_contracts.edge_opcua import OpcUaDriver, OpcUaSecurity, OpcUaSensor
from sidestream_contracts.errors import ContractError, TransientError
from sidestream_edge.drivers.opcua import status, words
from sidestream_edge.drivers.opcua.address_space import OBJECTS, children, namespaces, pieces, units
from sidestream_edge.drivers.opcua.keys import KeyFolder, thumbprint
from sidestream_edge.drivers.opcua.link import Link, offer
from sidestream_edge.drivers.opcua.nodes import portable
from sidestream_edge.drivers.opcua.units import ServerUnit
from sidestream_edge.drivers.opcua.values import number

MOST_NODES = 5000
_SERVER = ua.NodeId(ua.ObjectIds.Server)
_HISTORY_READ = 0x04
_ANYBODY = ua.UserTokenType.Anonymous

Say = Callable[[str], None]
_Place = tuple[tuple[str, ...], ua.NodeId]
"""Browse names from Objects on, and the node."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to connect: `security` as in `edge.yaml` (None for none), the kinds of login, the server's thumbprint."""

    url: str
    security: OpcUaSecurity | None
    shown: str
    logins: tuple[str, ...]
    thumbprint: str | None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable below Objects, as it was when it was read; `why_not` says why it can't be a sensor."""

    names: tuple[str, ...]
    node: str
    type: str
    value: Any
    state: str
    at: datetime | None
    unit: ServerUnit | None
    has_history: bool
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """All that a probe found."""

    url: str
    server: str
    endpoints: tuple[Endpoint, ...]
    used: Endpoint | None = None
    variables: tuple[Variable, ...] = ()
    namespaces: tuple[str, ...] = ()
    cut_short: str | None = None
    refused: str | None = None
    """Why nothing could be browsed, though the endpoints are known."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to look: as whom, with which security (None: the least that the server offers), how deep."""

    user: str | None = None
    password: str | None = None
    security: OpcUaSecurity | None = None
    depth: int = 8
    timeout_s: float = 4.0
    keys: Path = field(default_factory=lambda: Path("opcua"))


def probe(url: str, manner: Manner, say: Say) -> Found:
    """Asks the server; only reads. TransientError when there is no OPC UA server to be reached."""
    return asyncio.run(_probe(url, manner, say))


async def _probe(url: str, manner: Manner, say: Say) -> Found:
    say(f"asking {url} what it offers")
    config = _config(url, manner, manner.security)
    where = f"OPC UA server {url}"
    try:
        told = await Client(config.endpoint, timeout=manner.timeout_s).connect_and_get_server_endpoints()
    except words.FAILURES as error:
        raise TransientError(words.explain(error, where, config, None)) from error
    endpoints = tuple(_endpoint(one) for one in told if str(one.EndpointUrl or "").startswith("opc.tcp"))
    name = next(
        (str(one.Server.ApplicationName.Text) for one in told if one.Server.ApplicationName.Text), "without a name"
    )
    found = Found(url, name, endpoints)
    used = _chosen(endpoints, manner)
    if used is None:
        return found
    config = _config(url, manner, used.security)
    link = Link(config, where, KeyFolder(manner.keys, "urn:sidestream:probe"), "urn:sidestream:probe")
    try:
        await link.open()
        return await _browsed(found, used, link.session, manner, say)
    except (TransientError, *words.FAILURES) as error:
        said = error if isinstance(error, TransientError) else link.said(error)
        return Found(url, name, endpoints, used, refused=str(said))
    finally:
        await link.close()


def _config(url: str, manner: Manner, security: OpcUaSecurity | None) -> OpcUaDriver:
    return OpcUaDriver(
        id="probe", type="opcua", url=url, security=security, user=manner.user, password=manner.password,
        timeout_s=manner.timeout_s, keep_s=60, sensors=[OpcUaSensor(id="any", path="any")],
    )  # fmt: skip


def _endpoint(told: ua.EndpointDescription) -> Endpoint:
    shown = offer(told)
    policy, _, mode = shown.partition(", ")
    known = policy in OpcUaSecurity.model_fields["policy"].annotation.__args__ if mode else False  # type: ignore[union-attr]
    certificate = uacrypto.x509_from_der(told.ServerCertificate) if told.ServerCertificate else None
    return Endpoint(
        str(told.EndpointUrl),
        OpcUaSecurity.model_validate({"policy": policy, "mode": mode}) if known else None,
        shown,
        tuple(
            sorted(
                {"nobody" if token.TokenType == _ANYBODY else _login(token) for token in told.UserIdentityTokens or []}
            )
        ),
        thumbprint(certificate) if certificate is not None else None,
    )


def _login(token: ua.UserTokenPolicy) -> str:
    kind = str(token.TokenType.name)
    return {"UserName": "user and password", "Certificate": "user certificate"}.get(kind, kind)


def _chosen(endpoints: tuple[Endpoint, ...], manner: Manner) -> Endpoint | None:
    """The endpoint to browse by: as asked for; else an open one; else the first that we can secure."""
    usable = [one for one in endpoints if one.security is not None or one.shown == "no security"]
    if manner.security is not None:
        wanted = (manner.security.policy, manner.security.mode)
        return next(
            (one for one in usable if one.security and (one.security.policy, one.security.mode) == wanted), None
        )
    return next((one for one in usable if one.security is None), next(iter(usable), None))


async def _browsed(found: Found, used: Endpoint, session: UaSession, manner: Manner, say: Say) -> Found:
    today = await namespaces(session)
    nodes, cut_short = await _walk(session, manner.depth, say)
    variables: list[Variable] = []
    for some in pieces(nodes):
        say(f"read {len(variables)} of {len(nodes)} variables")
        variables += await _read(session, [node for _, node in some], [names for names, _ in some], today)
    return Found(found.url, found.server, found.endpoints, used, tuple(variables), tuple(today), cut_short)


async def _walk(session: UaSession, depth: int, say: Say) -> tuple[list[_Place], str | None]:
    """Variables below Objects, without the server's own and without properties; and why not all of them, if so."""
    found: list[_Place] = []
    seen, asked = {OBJECTS.to_string(), _SERVER.to_string()}, 0
    level: list[_Place] = [((), OBJECTS)]
    for _ in range(depth):
        below: list[_Place] = []
        for names, node in level:
            asked += 1
            say(f"{asked} nodes asked, {len(found)} variables found")
            if asked > MOST_NODES:
                return found, f"it has more than {MOST_NODES} nodes; the rest was not looked at"
            try:
                there = await children(session, node)
            except ContractError:
                continue
            for child in there:
                if child.is_property or child.node_id.to_string() in seen:
                    continue
                seen.add(child.node_id.to_string())
                path = (*names, child.name)
                below.append((path, child.node_id))
                if child.is_variable:
                    found.append((path, child.node_id))
        level = below
    return found, f"there is more below level {depth}; --depth {depth + 4} looks further" if level else None


async def _read(
    session: UaSession, nodes: list[ua.NodeId], paths: list[tuple[str, ...]], today: list[str]
) -> list[Variable]:
    values = await session.read_attributes(nodes, ua.AttributeIds.Value)
    access = await session.read_attributes(nodes, ua.AttributeIds.AccessLevel)
    told = await units(session, nodes)
    return [
        _variable(names, node, value, level, unit, today)
        for names, node, value, level, unit in zip(paths, nodes, values, access, told, strict=True)
    ]


def _variable(  # noqa: PLR0917  one thing from each of the calls
    names: tuple[str, ...],
    node: ua.NodeId,
    value: ua.DataValue,
    access: ua.DataValue,
    unit: ServerUnit | None,
    today: list[str],
) -> Variable:
    code = int(value.StatusCode.value) if value.StatusCode is not None else 0
    why_not: str | None = None
    shown: Any = None
    try:
        shown = number(value.Value)
    except ContractError as error:
        why_not = str(error)
    level = access.Value.Value if access.Value is not None else None
    kind = getattr(value.Value.VariantType, "name", "Null") if value.Value is not None else "Null"
    return Variable(
        names, portable(node.to_string(), today), kind, shown, status.name(code), value.SourceTimestamp, unit,
        bool(int(level or 0) & _HISTORY_READ), why_not,
    )  # fmt: skip

"""What an OPC UA probe found, in words, as facts for a program, and as a draft of `edge.yaml`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sidestream_edge.drivers.opcua.nodes import path_text
from sidestream_edge.drivers.sparkplug.draft import proposed_id
from sidestream_edge.probe.opcua import Endpoint, Found, Variable

SHOWN = 100
"""Variables that are shown and drafted one by one; a program gets them all."""

_STRONGEST = ("Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256")


def lines(found: Found) -> Iterator[str]:
    """For a person: endpoints, variables, and what stands in the way."""
    yield f"{found.url}: {found.server}; {len(found.endpoints)} ways to connect, {len(found.variables)} variables below Objects."
    for endpoint in found.endpoints:
        mark = "  (used here)" if endpoint is found.used else ""
        yield f"  {endpoint.shown}; login: {' or '.join(endpoint.logins) or 'not told'}{mark}"
    for print_ in dict.fromkeys(one.thumbprint for one in found.endpoints if one.thumbprint):
        yield f"  its certificate has SHA-1 thumbprint {print_}"
    if found.used is None:
        yield "None of these can be used: no policy that is asked for, or that is still held to be safe."
    if found.refused is not None:
        yield found.refused
    for variable in found.variables[:SHOWN]:
        yield f"  {path_text(variable.names)}  {_held(variable)}"
    if len(found.variables) > SHOWN:
        yield f"  and {len(found.variables) - SHOWN} more; --json tells all"
    if found.cut_short is not None:
        yield f"Not everything: {found.cut_short}."


def facts(found: Found) -> dict[str, Any]:
    """For a program: everything, as JSON can hold it."""
    return {
        "url": found.url,
        "server": found.server,
        "endpoints": [
            {
                "url": one.url,
                "security": one.security.model_dump(exclude={"folder"}) if one.security else None,
                "shown": one.shown,
                "logins": list(one.logins),
                "thumbprint": one.thumbprint,
                "used": one is found.used,
            }
            for one in found.endpoints
        ],
        "refused": found.refused,
        "cut_short": found.cut_short,
        "namespaces": list(found.namespaces),
        "variables": [_facts(variable) for variable in found.variables],
    }


def driver_sections(found: Found, user: str | None) -> list[str]:
    """A `drivers` item with a sensor for each variable that holds a number; none where nothing can be read."""
    numbers = [variable for variable in found.variables if variable.why_not is None]
    if not numbers or found.used is None:
        return []
    taken: set[str] = set()
    sensors = [f"      {_sensor(variable, taken)}" for variable in numbers[:SHOWN]]
    left = [f"      # and {len(numbers) - SHOWN} more variables; --json tells all"] if len(numbers) > SHOWN else []
    return [
        "\n".join(
            [
                "  - id: opcua",
                "    type: opcua",
                *(f"    {line}" for line in _head(found, user)),
                "    sensors:",
                *sensors,
                *left,
            ]
        )
    ]


def _head(found: Found, user: str | None) -> Iterator[str]:
    yield f"url: {json.dumps(found.url)}"
    used = found.used
    if used is not None and used.security is not None:
        yield f"security: {{policy: {used.security.policy}, mode: {used.security.mode}}}"
    elif (best := _best(found.endpoints)) is not None and best.security is not None:
        yield f"# security: {{policy: {best.security.policy}, mode: {best.security.mode}}}  # offered; switch it on where the line is not your own"
    if user is not None:
        yield f"user: {json.dumps(user)}"
        yield "password: ${SIDESTREAM_OPCUA_PASSWORD}"
    yield "publishing_s: 1"


def _best(endpoints: Sequence[Endpoint]) -> Endpoint | None:
    secured = [one for one in endpoints if one.security is not None and one.security.mode == "SignAndEncrypt"]
    return min(secured, key=lambda one: _STRONGEST.index(one.security.policy), default=None)  # type: ignore[union-attr]


def _sensor(variable: Variable, taken: set[str]) -> str:
    """`- {id: …, node: …, unit: …}`, its id unlike all others, with what it held as a comment."""
    name = proposed_id(variable.names[-2] if len(variable.names) > 1 else None, variable.names[-1])
    unique, n = name, 1
    while unique in taken:
        n += 1
        unique = f"{name[:27].rstrip('-_')}-{n}"
    taken.add(unique)
    parts = {"id": unique, "node": json.dumps(variable.node, ensure_ascii=False)}
    if variable.unit is not None and variable.unit.ucum is not None:
        parts["unit"] = json.dumps(variable.unit.ucum)
    return f"- {{{', '.join(f'{key}: {value}' for key, value in parts.items())}}}  # {_held(variable)}"


def _held(variable: Variable) -> str:
    """`1.5 m³/h (MQH), Double, Good at 10:00:00Z, has history`."""
    if variable.why_not is not None:
        return f"no sensor: {variable.why_not}"
    value = "no value" if variable.value is None else f"{variable.value:.6g}"
    unit = f" {variable.unit.words}" if variable.unit is not None else ""
    at = f" at {variable.at:%Y-%m-%d %H:%M:%SZ}" if variable.at is not None else ", no source time"
    return f"{value}{unit}, {variable.type}, {variable.state}{at}" + (", has history" if variable.has_history else "")


def _facts(variable: Variable) -> dict[str, Any]:
    unit = variable.unit
    return {
        "path": path_text(variable.names),
        "node": variable.node,
        "type": variable.type,
        "value": variable.value,
        "state": variable.state,
        "at": variable.at.isoformat() if variable.at is not None else None,
        "unit": {"shown": unit.shown, "code": unit.code, "ucum": unit.ucum} if unit is not None else None,
        "history": variable.has_history,
        "why_not": variable.why_not,
    }

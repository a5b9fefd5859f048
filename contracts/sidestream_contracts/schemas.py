"""The published form of contract v1: JSON Schema 2020-12 of each message and file, and one AsyncAPI document of all channels.

Made from the models, committed under `contracts/generated/v1/`, and held to them by `drift`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sidestream_contracts.asyncapi import asyncapi
from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.frame import ParkedFrame, ReadingsFrame, ScansFrame
from sidestream_contracts.hub import HubFile
from sidestream_contracts.messages import Acknowledgement, Command, Hello, Status
from sidestream_contracts.twinmessage import TwinMessage

Schema = dict[str, Any]

MESSAGES: dict[str, type[BaseModel]] = {
    "frame.readings": ReadingsFrame,
    "frame.scans": ScansFrame,
    "frame.parked": ParkedFrame,
    "status": Status,
    "command": Command,
    "acknowledgement": Acknowledgement,
    "hello": Hello,
    "twin": TwinMessage,
}
FILES: dict[str, type[BaseModel]] = {"hub.yaml": HubFile, "edge.yaml": EdgeFile}
_VARIABLE: Schema = {
    "type": "string",
    "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
    "description": "replaced from the environment before the file is checked",
}


def message_schema(model: type[BaseModel]) -> Schema:
    """What a sender writes: the constants `v` and `kind` are not left out, though a reader of today would fill them in."""
    schema = model.model_json_schema(mode="validation")
    constants = [name for name, field in schema["properties"].items() if "const" in field]
    schema["required"] = [*constants, *(name for name in schema.get("required", []) if name not in constants)]
    return schema


def file_schema(model: type[BaseModel]) -> Schema:
    """What stands in a file: in place of any single value there may be a text with `${NAME}` or `${NAME:-default}`."""
    schema = model.model_json_schema(mode="validation", by_alias=True)
    defs = schema.setdefault("$defs", {})
    opened: Schema = _opened(schema)
    opened["$defs"] = {**{name: _opened(part) for name, part in defs.items()}, "Variable": _VARIABLE}
    return opened


def _opened(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_opened(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "const" not in schema and _refuses_variables(schema):
        said = {name: schema[name] for name in ("title", "description", "default") if name in schema}
        rest = {name: value for name, value in schema.items() if name not in said}
        return {**said, "anyOf": [rest, {"$ref": "#/$defs/Variable"}]}
    return {
        name: value if name in ("default", "$defs", "discriminator") else _opened(value)
        for name, value in schema.items()
    }


def _refuses_variables(schema: Schema) -> bool:
    kind = schema.get("type")
    return kind in ("integer", "number", "boolean") or (
        kind == "string" and any(name in schema for name in ("pattern", "enum", "format"))
    )


def generate() -> dict[str, str]:
    """File name → text of every published document; the same models always give the same text."""
    documents: dict[str, Schema] = {}
    made: tuple[tuple[dict[str, type[BaseModel]], Callable[[type[BaseModel]], Schema]], ...] = (
        (MESSAGES, message_schema),
        (FILES, file_schema),
    )
    for models, make in made:
        for name, model in models.items():
            head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:sidestream:v1:{name}"}
            documents[f"{name}.schema.json"] = {**head, **make(model)}
    documents["asyncapi.json"] = asyncapi({name: message_schema(model) for name, model in MESSAGES.items()})
    return {name: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for name, body in sorted(documents.items())}


def write(folder: Path) -> list[Path]:
    """Every document is in `folder`, made if need be, and no other JSON file is; the paths."""
    texts = generate()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def drift(folder: Path) -> list[str]:
    """A sentence for each file in `folder` that the models would write otherwise; empty when all agree."""
    texts = generate()
    kept = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}
    problems = [f"{folder / name}: is missing" for name in texts if name not in kept]
    problems += [f"{folder / name}: no model makes it" for name in kept if name not in texts]
    problems += [
        f"{folder / name}: differs from the models" for name in texts if kept.get(name, texts[name]) != texts[name]
    ]
    return problems

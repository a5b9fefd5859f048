"""A YAML file as a validated model, where every mistake is told with file, line, the wrong value and a way out.

YAML 1.2 (so `no` is a word, not False); duplicate keys are refused; `${NAME}` and `${NAME:-default}` in a value are
replaced from the environment, so that no secret and no port need stand in the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.ids import ID_PATTERN, nearest

Where = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the place inside the document and a sentence that says what is wrong and what is allowed."""

    where: Where
    message: str


def load(
    path: Path,
    model: type[Model],
    further: Callable[[Model], Iterable[Problem]] = lambda _: (),
    env: Mapping[str, str] | None = None,
) -> Model:
    """The file as a `model` that also passes `further`; ConfigurationError listing every mistake as `file:line: …`."""
    document = _read(path)
    problems: list[Problem] = []
    plain = _plain(document, os.environ if env is None else env, (), problems)
    loaded: Model | None = None
    if not problems:
        try:
            loaded = model.model_validate(plain)
        except ValidationError as error:
            problems = [_explain(detail, model) for detail in error.errors()]
        else:
            problems = list(further(loaded))
    if problems or loaded is None:
        lines = sorted({(_line(document, p.where), p.message) for p in problems})
        raise ConfigurationError("\n".join(f"{path}:{line}: {message}" for line, message in lines))
    return loaded


def _read(path: Path) -> CommentedMap:
    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigurationError(
            f"{path}:{line}: is not YAML: {(error.problem or error.context or '').strip()}."
        ) from error
    except YAMLError as error:
        raise ConfigurationError(f"{path}:1: is not YAML: {error}.") from error
    if not isinstance(document, CommentedMap):
        raise ConfigurationError(f"{path}:1: must be a mapping of keys to values, and is {type(document).__name__}.")
    return document


def _plain(node: Any, env: Mapping[str, str], where: Where, problems: list[Problem]) -> Any:
    """Round-trip YAML as plain Python values with variables replaced; what can't be replaced joins `problems`."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value, env, (*where, str(key)), problems) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value, env, (*where, n), problems) for n, value in enumerate(node)]
    if isinstance(node, str):
        return _VARIABLE.sub(lambda match: _from_env(match, env, where, problems), str(node))
    if isinstance(node, bool) or node is None:
        return node
    for plain in (int, float):
        if isinstance(node, plain):
            return plain(node)
    return node


def _from_env(match: re.Match[str], env: Mapping[str, str], where: Where, problems: list[Problem]) -> str:
    name, default = match.groups()
    value = env.get(name, default)
    if value is None:
        problems.append(Problem(where, f"the environment has no {name}; set it, or write ${{{name}:-default}}"))
        return ""
    return value


def _line(document: CommentedMap, where: Where) -> int:
    """The line (from 1) of the key or item at `where`, or of the nearest parent that exists in the file."""
    node: Any = document
    line = 0
    for step in where:
        if isinstance(node, CommentedMap):
            key = next((k for k in node if str(k) == step), None)
            if key is None:
                continue  # a step that pydantic adds, such as the tag of a union
            line, node = node.lc.key(key)[0], node[key]
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line, node = node.lc.item(step)[0], node[step]
    return line + 1


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    where: Where = tuple(detail["loc"])
    name = ".".join(str(step) for step in where) or "the file"
    kind, value = detail["type"], detail["input"]
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    if kind == "extra_forbidden":
        known = _fields_at(model, where[:-1])
        hint = nearest(str(where[-1]), known)
        allowed = f"; allowed here: {', '.join(sorted(known))}" if known else ""
        return Problem(where, f"{name}: unknown key{f', did you mean {hint!r}?' if hint else ''}{allowed}")
    if kind == "missing":
        return Problem(where[:-1], f"{name}: is missing")
    if kind == "literal_error":
        allowed_values = re.findall(r"'([^']*)'", str(detail["ctx"]["expected"]))
        hint = nearest(value, allowed_values) if isinstance(value, str) else None
        guess = f"; did you mean {hint!r}?" if hint else ""
        return Problem(where, f"{name}: {shown} is not allowed; allowed: {', '.join(allowed_values)}{guess}")
    if kind == "string_pattern_mismatch" and detail["ctx"]["pattern"] == ID_PATTERN:
        return Problem(where, f"{name}: {shown} is no id; lower-case letter first, then up to 30 of a-z 0-9 _ -")
    return Problem(where, f"{name}: {shown}: {detail['msg']}")


def _fields_at(model: type[BaseModel], where: Where) -> set[str]:
    """Field names of the model that sits at `where` inside `model`; a union's tag picks its member."""
    candidates: list[type[BaseModel]] = [model]
    for step in where:
        fields = [m.model_fields[step] for m in candidates if isinstance(step, str) and step in m.model_fields]
        if fields:
            candidates = [m for f in fields for m in _models_in(f.annotation)]
        elif isinstance(step, str):
            tagged = [m for m in candidates if _tag(m) == step]
            candidates = tagged or candidates
    return {field.alias or name for m in candidates for name, field in m.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in get_args(annotation) for m in _models_in(inner)]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("type")
    literal = get_args(field.annotation) if field else ()
    return str(literal[0]) if literal else None

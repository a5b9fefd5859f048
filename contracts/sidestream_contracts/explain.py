"""What pydantic found wrong in a file, as a sentence for the person who wrote the file: wrong value, what is allowed, a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sidestream_contracts.ids import ID_PATTERN, nearest
from sidestream_contracts.yamlnodes import Problem, Where

_MAPPING = "must be a mapping, `key: value` on each line"
_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_LIST = "must be a list, `- ` before each item"
_DATE = "must be a date such as 2026-01-31"
_TIME = "must be a time with its zone such as 2026-01-31T12:00:00+01:00"
_TRUTH = "must be true or false"
_WANTED: Mapping[str, str] = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "string_type": "must be a text",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}
_TAGS = ("union_tag_invalid", "union_tag_not_found")


def explain(detail: ErrorDetails, model: type[BaseModel], plain: Any) -> Problem:
    """One error of `model.model_validate(plain)` as a place in the file and a sentence."""
    kind = detail["type"]
    where = _in_file(detail["loc"], plain, all_there=kind in _TAGS)
    if kind in _SPECIAL:
        return _SPECIAL[kind](detail, where, model)
    name, shown = _name(where), _shown(detail["input"])
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return Problem(where, f"{name}: {shown} is out of range; it {words} {detail['ctx'][limit]:g}")
    if kind in _WANTED:
        return Problem(where, f"{name}: {_WANTED[kind]}, and is {shown}{_hint(kind, detail['input'])}")
    return Problem(where, f"{name}: {shown}: {detail['msg']}")


def stray_truths(plain: Any, model: type[BaseModel], where: Where = ()) -> Iterator[Problem]:
    """Each `true` or `false` where a number is wanted; pydantic, lenient because `${NAME}` gives text, takes it for 1 or 0."""
    if isinstance(plain, dict | list):
        for step, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from stray_truths(value, model, (*where, step))
    elif isinstance(plain, bool):
        keys = [step for step in where if isinstance(step, str)]
        wanted = [field for m in _models_at(model, tuple(keys[:-1])) for field in _named(m, keys[-1])]
        if wanted and bool not in wanted:
            yield Problem(where, f"{_name(where)}: must be a number, and is {_shown(plain)}")


def _missing(_detail: ErrorDetails, where: Where, _model: type[BaseModel]) -> Problem:
    parent = where[:-1]
    if isinstance(where[-1], int):
        return Problem(parent, f"{_name(parent)}: needs {where[-1] + 1} items or more")
    return Problem(parent, f"{_name(where)}: is missing")


def _extra(detail: ErrorDetails, where: Where, model: type[BaseModel]) -> Problem:
    known = _fields_at(model, detail["loc"][:-1])
    hint = nearest(str(where[-1]), known)
    allowed = f"; allowed here: {', '.join(sorted(known))}" if known else ""
    return Problem(where, f"{_name(where)}: unknown key{f', did you mean {hint!r}?' if hint else ''}{allowed}")


def _literal(detail: ErrorDetails, where: Where, _model: type[BaseModel]) -> Problem:
    return _choice(where, detail["input"], str(detail["ctx"]["expected"]))


def _tag_invalid(detail: ErrorDetails, where: Where, _model: type[BaseModel]) -> Problem:
    key = str(detail["ctx"]["discriminator"]).strip("'")
    return _choice((*where, key), detail["ctx"]["tag"], str(detail["ctx"]["expected_tags"]))


def _tag_missing(detail: ErrorDetails, where: Where, model: type[BaseModel]) -> Problem:
    key = str(detail["ctx"]["discriminator"]).strip("'")
    tags = sorted({tag for candidate in _models_at(model, detail["loc"]) if (tag := _tag(candidate))})
    return Problem(where, f"{_name((*where, key))}: is missing; allowed: {', '.join(tags)}")


def _pattern(detail: ErrorDetails, where: Where, _model: type[BaseModel]) -> Problem:
    name, shown = _name(where), _shown(detail["input"])
    if detail["ctx"]["pattern"] == ID_PATTERN:
        return Problem(where, f"{name}: {shown} is no id; lower-case letter first, then up to 30 of a-z 0-9 _ -")
    return Problem(where, f"{name}: {shown} does not match {detail['ctx']['pattern']}")


def _too_short(detail: ErrorDetails, where: Where, _model: type[BaseModel]) -> Problem:
    least, unit = detail["ctx"]["min_length"], "characters" if detail["type"].startswith("string") else "items"
    if least == 1:
        return Problem(where, f"{_name(where)}: must not be empty")
    return Problem(where, f"{_name(where)}: needs {least} {unit}, and has {len(detail['input'])}")


def _too_long(detail: ErrorDetails, where: Where, _model: type[BaseModel]) -> Problem:
    most, unit = detail["ctx"]["max_length"], "characters" if detail["type"].startswith("string") else "items"
    return Problem(where, f"{_name(where)}: takes {most} {unit}, and has {len(detail['input'])}")


_SPECIAL: Mapping[str, Callable[[ErrorDetails, Where, type[BaseModel]], Problem]] = {
    "missing": _missing,
    "extra_forbidden": _extra,
    "literal_error": _literal,
    "union_tag_invalid": _tag_invalid,
    "union_tag_not_found": _tag_missing,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
}


def _choice(where: Where, value: Any, expected: str) -> Problem:
    allowed = [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|(\d+)", expected)]
    guess = nearest(value, allowed) if isinstance(value, str) else None
    did_you = f"; did you mean {guess!r}?" if guess and guess != value else ""
    unquote = "; write it without quotes" if isinstance(value, str) and value in allowed else ""
    return Problem(
        where, f"{_name(where)}: {_shown(value)} is not allowed; allowed: {', '.join(allowed)}{did_you}{unquote}"
    )


def _hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f"; put it in quotes: '{_shown(value)}'"
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+,\d+", value.strip()):
        return f"; write the decimals after a point: {value.strip().replace(',', '.')}"
    return ""


def _shown(value: Any) -> str:
    """The value as one would write it in the file, cut short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if isinstance(value, int | float):
        return str(value)
    return {"dict": "a mapping", "list": "a list"}.get(type(value).__name__, f"a {type(value).__name__}")


def _name(where: Where) -> str:
    return ".".join(str(step) for step in where) or "the file"


def _in_file(loc: tuple[str | int, ...], plain: Any, *, all_there: bool) -> Where:
    """The steps of `loc` that stand in the file; a union's tag does not. The last may be a missing key, if not `all_there`."""
    here: list[str | int] = []
    node = plain
    for n, step in enumerate(loc):
        in_list = isinstance(node, list) and isinstance(step, int) and step < len(node)
        if in_list or (isinstance(node, dict) and step in node):
            node = node[step]
        elif all_there or n < len(loc) - 1:
            continue
        here.append(step)
    return tuple(here)


def _fields_at(model: type[BaseModel], where: Where) -> set[str]:
    return {field.alias or name for m in _models_at(model, where) for name, field in m.model_fields.items()}


def _models_at(model: type[BaseModel], where: Where) -> list[type[BaseModel]]:
    """The models that may sit at `where` inside `model`; a union's tag picks its member."""
    candidates: list[type[BaseModel]] = [model]
    for step in where:
        if not isinstance(step, str):
            continue
        fields = [field for m in candidates for field in _named(m, step)]
        if fields:
            candidates = [m for field in fields for m in _models_in(field)]
        else:
            candidates = [m for m in candidates if _tag(m) == step] or candidates
    return candidates


def _named(model: type[BaseModel], key: str) -> Iterator[Any]:
    """Annotations of the field that is called `key` in a file."""
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            yield field.annotation


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in get_args(annotation) for m in _models_in(inner)]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("type")
    literal = get_args(field.annotation) if field else ()
    return str(literal[0]) if literal else None

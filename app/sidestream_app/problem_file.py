"""A problem that somebody hands over as a JSON file, as a validated model; each mistake told with place and way out.

Other programs write these files, so numbers must be numbers: no text, no true, no NaN, no key twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.explain import explain
from sidestream_contracts.yamlnodes import Problem, Where
from sidestream_twin.core.errors import ModelError

Model = TypeVar("Model", bound=BaseModel)
MAX_BYTES = 50_000_000
_SHOWN = 20
_HALF = re.compile(r"\\ud[89a-f]", re.IGNORECASE)


def _name_of(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_name_of), Field(min_length=1, max_length=100)]
"""What something is called; published networks number their streams, so a whole number is a name too."""


class ProblemPart(BaseModel):
    """A section of a problem file: strict types, no unknown keys, no NaN or Infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def read_problem(path: Path, model: type[Model], further: Callable[[Model], Iterable[Problem]] = lambda _: ()) -> Model:
    """The file as a `model` that also passes `further`; ConfigurationError with a line for each mistake."""
    plain = _plain(path)
    try:
        found = model.model_validate(plain)
    except ValidationError as error:
        problems = [explain(detail, model, plain) for detail in error.errors()]
    else:
        problems = list(further(found))
        if not problems:
            return found
    lines = list(dict.fromkeys(f"{path}: {_named(problem.where, plain)}{problem.message}" for problem in problems))
    rest = [f"{path}: and {len(lines) - _SHOWN} more of the kind."] if len(lines) > _SHOWN else []
    raise ConfigurationError("\n".join(lines[:_SHOWN] + rest))


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Tells what the core refuses as a mistake in the file."""
    try:
        yield
    except ModelError as error:
        raise ConfigurationError(f"{path}: {error}.") from error


def _plain(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(f"{path}: is larger than {MAX_BYTES // 10**6} MB; give a smaller problem.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    try:
        plain = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}:{error.lineno}: is not JSON: {error.msg} (column {error.colno}).") from error
    except (ValueError, RecursionError) as error:
        why = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigurationError(f"{path}: {why}.") from error
    if _HALF.search(text):
        _refuse_halves(path, plain)
    if not isinstance(plain, dict):
        raise ConfigurationError(f"{path}: must be one JSON object, {{…}}, and is {type(plain).__name__}.")
    return plain


def _refuse_halves(path: Path, plain: Any) -> None:
    r"""`"\ud800"` alone is JSON, yet no text: nothing could print it again."""
    try:
        json.dumps(plain, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = str(error.object[error.start]).encode("unicode_escape").decode()
        raise ConfigurationError(
            f"{path}: {half} is half of a character; write both halves, or the character."
        ) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r} stands twice in one object; which one is meant?")
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number; leave out what is not known")


def _named(where: Where, plain: Any) -> str:
    """The id of the list item that holds the mistake, since nobody counts to item 417."""
    node, ids = plain, []
    for step in where:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(node, dict) and isinstance(node.get("id"), str | int):
            ids.append(str(node["id"]))
    return f"({ids[-1]}) " if ids else ""

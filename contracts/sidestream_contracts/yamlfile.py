"""A YAML file as a validated model, where every mistake is told with file, line, the wrong value and a way out.

YAML 1.2 (so `no` is a word, not False); duplicate keys are refused; `${NAME}` and `${NAME:-default}` in a value are
replaced from the environment, so that no secret and no port need stand in the file.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.explain import explain, stray_truths
from sidestream_contracts.yamlnodes import Plainer, Problem, Where

__all__ = ["Problem", "load"]

Model = TypeVar("Model", bound=BaseModel)
MAX_DEPTH = 50
"""Deepest nesting that is read; what Sidestream reads is six deep."""


def load(
    path: Path,
    model: type[Model],
    further: Callable[[Model], Iterable[Problem]] = lambda _: (),
    env: Mapping[str, str] | None = None,
) -> Model:
    """The file as a `model` that also passes `further`; ConfigurationError listing every mistake as `file:line: …`."""
    plainer = Plainer(os.environ if env is None else env)
    plain = plainer.plain(_read(path))
    problems = plainer.problems
    loaded: Model | None = None
    if not problems:
        try:
            loaded = model.model_validate(plain)
        except ValidationError as error:
            problems = [explain(detail, model, plain) for detail in error.errors()]
            problems += _further_beside(problems, model, plain, further)
        else:
            problems = list(stray_truths(plain, model)) or list(further(loaded))
    if problems or loaded is None:
        lines = sorted({(plainer.line(p.where), p.message) for p in problems})
        raise ConfigurationError("\n".join(f"{path}:{line}: {message}" for line, message in lines))
    return loaded


def _further_beside(
    wrong: Sequence[Problem], model: type[Model], plain: Any, further: Callable[[Model], Iterable[Problem]]
) -> list[Problem]:
    """What `further` says of places that have nothing to do with the `wrong` values, so that one look finds all.

    Nothing where a wrong value can't be left out, since what hangs on it would then be told as a mistake of its own.
    """
    rest = deepcopy(plain)
    for problem in wrong:
        *way, last = problem.where or ("",)
        if len(way) < 2 or not isinstance(last, str):  # a whole section or list item: others refer to it
            return []
        part = rest
        try:
            for step in way:
                part = part[step]
        except (KeyError, IndexError, TypeError):
            return []
        if isinstance(part, dict):
            part.pop(last, None)
    try:
        loaded = model.model_validate(rest)
    except ValidationError:
        return []
    return [found for found in further(loaded) if not any(_touch(found.where, problem.where) for problem in wrong)]


def _touch(one: Where, other: Where) -> bool:
    """Whether one place lies in the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _read(path: Path) -> MappingNode:
    """The file's one document, not yet made into values, so that every node still knows its line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    node = _compose(path, text)
    if isinstance(node, MappingNode):
        return node
    if node is None or (isinstance(node, ScalarNode) and not node.value):
        raise ConfigurationError(f"{path}:1: is empty; it must be a mapping, `key: value` on each line.")
    what = "a single word" if isinstance(node, ScalarNode) else "a list"
    line = node.start_mark.line + 1
    raise ConfigurationError(f"{path}:{line}: must be a mapping, `key: value` on each line, and is {what}.")


def _compose(path: Path, text: str) -> Node | None:
    yaml = YAML(typ="rt", pure=True)
    yaml.max_depth = MAX_DEPTH
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ReusedAnchorWarning)
            node: Node | None = yaml.compose(text)
    except ReusedAnchorWarning as error:
        name, lines = re.findall(r"duplicate anchor '(.*)'", str(error)), re.findall(r", line (\d+)", str(error))
        raise ConfigurationError(
            f"{path}:{lines[-1]}: the anchor {f'&{name[0]}' if name else 'here'} is taken already (line {lines[0]}); give each"
            " anchor a name of its own, or nobody sees which one an alias means."
        ) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigurationError(f"{path}:{line}: {_not_yaml(error)}.") from error
    except YAMLError as error:
        raise ConfigurationError(f"{path}:1: is not YAML: {' '.join(str(error).split())}.") from error
    except (ValueError, OverflowError) as error:  # escapes and directives that name no character or version
        raise ConfigurationError(f"{path}:1: is not YAML: {error}.") from error
    return node


def _not_yaml(error: MarkedYAMLError) -> str:
    if isinstance(error, MaxDepthExceededError):
        return f"is nested deeper than {MAX_DEPTH} levels"
    problem = " ".join((error.problem or error.context or "it can't be parsed").split())
    hint = ""
    if "'\\t'" in problem:
        hint = "; indent with spaces, not with tabs"
    elif "mapping values are not allowed" in problem:
        hint = "; check the indentation, and put a text that holds `: ` in quotes"
    return f"is not YAML: {problem}{hint}"

"""YAML nodes as plain values, with the line of each: our own, because a mistake in a file must never be a traceback.

Bounded: aliases may repeat a part of the document, but not grow it without limit or contain themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

Where = tuple[str | int, ...]
MAX_NODES = 500_000
"""Most values that a file may come to once its aliases are written out."""
_MAX_DIGITS = 70
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the place inside the document and a sentence that says what is wrong and what is allowed."""

    where: Where
    message: str


class Plainer:
    """Makes nodes into plain values; `problems` gathers what can't be, `line` tells where each value stands."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._lines: dict[Where, int] = {}
        self._open: set[int] = set()
        self._count = 0
        self.problems: list[Problem] = []

    def line(self, where: Where) -> int:
        """The line (from 1) of the key or item at `where`, or of the nearest parent that exists in the file."""
        return self._lines.get(present(where, self._lines), 1)

    def plain(self, node: Node, where: Where = ()) -> Any:
        """`dict`, `list`, `str`, `int`, `float`, `bool` or None; dates stay text, for the model knows its types."""
        self._lines.setdefault(where, node.start_mark.line + 1)
        self._count += 1
        if self._count > MAX_NODES:
            if self._count == MAX_NODES + 1:
                self._problem((), f"the file comes to more than {MAX_NODES} values; are aliases (`*name`) nested?")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, where)
        if id(node) in self._open:
            self._problem(where, f"{_name(where)}: the alias stands inside what it names")
            return None
        self._open.add(id(node))
        try:
            return self._mapping(node, where) if isinstance(node, MappingNode) else self._sequence(node, where)
        finally:
            self._open.discard(id(node))

    def _problem(self, where: Where, message: str) -> None:
        self.problems.append(Problem(where, message))

    def _sequence(self, node: Node, where: Where) -> list[Any] | None:
        if node.tag != _TAG + "seq":
            self._problem(where, _unknown_tag(node, where))
            return None
        return [self.plain(item, (*where, n)) for n, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, where: Where) -> dict[str, Any] | None:
        if node.tag != _TAG + "map":
            self._problem(where, _unknown_tag(node, where))
            return None
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self._problem(
                    where, f"{_name(where)}: a key must be a word, and on line {line} it is a list or mapping"
                )
            elif key.tag == _TAG + "merge":
                merged.update(self._merged(value, where))
            elif key.value in found:
                first = self._lines[*where, key.value]
                self._lines[*where, key.value] = line
                self._problem(
                    (*where, key.value), f"{_name((*where, key.value))}: the key stands twice, first on line {first}"
                )
            else:
                self._lines[*where, key.value] = line
                found[key.value] = self.plain(value, (*where, key.value))
        return {**merged, **found}

    def _merged(self, value: Node, where: Where) -> dict[str, Any]:
        """What `<<: *name` brings in; keys that stand here themselves win."""
        plain = self.plain(value, where)
        parts = plain if isinstance(plain, list) else [plain]
        if not all(isinstance(part, dict) for part in parts):
            self._problem(where, f"{_name(where)}: `<<` takes a mapping or a list of mappings")
            return {}
        return {key: item for part in reversed(parts) for key, item in part.items()}

    def _scalar(self, node: ScalarNode, where: Where) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        read = _READERS.get(kind)
        if read is None:
            self._problem(where, _unknown_tag(node, where))
            return None
        try:
            value = read(node.value)
        except (ValueError, OverflowError):
            self._problem(where, f"{_name(where)}: {_short(node.value)} can't be read as {kind}")
            return None
        return self._replaced(value, where) if isinstance(value, str) else value

    def _replaced(self, text: str, where: Where) -> str:
        if "${" in _VARIABLE.sub("", text):
            self._problem(where, f"{_name(where)}: {_short(text)}: write ${{NAME}} or ${{NAME:-default}}")
        return _VARIABLE.sub(lambda match: self._from_env(match, where), text)

    def _from_env(self, match: re.Match[str], where: Where) -> str:
        name, default = match.groups()
        value = self._env.get(name, default)
        if value is None:
            self._problem(
                where, f"{_name(where)}: the environment has no {name}; set it, or write ${{{name}:-default}}"
            )
            return ""
        return str(value)


def present(where: Where, known: Mapping[Where, Any]) -> Where:
    """`where` without the steps that are not in the file, such as the tag that pydantic adds for a union."""
    here: Where = ()
    for step in where:
        if (*here, step) in known:
            here = (*here, step)
    return here


def _name(where: Where) -> str:
    return ".".join(str(step) for step in where) or "the file"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _unknown_tag(node: Node, where: Where) -> str:
    return f"{_name(where)}: the YAML tag {str(node.tag).replace(_TAG, '!!')!r} means nothing here; leave it out"


def _int(text: str) -> int:
    digits = text.replace("_", "")
    if len(digits) > _MAX_DIGITS:
        raise ValueError(text)
    return int(digits, 0) if re.match(r"[-+]?0[xob]", digits) else int(digits)


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", text.replace("_", ""), flags=re.IGNORECASE))


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "value": str,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "null": lambda _: None,
}

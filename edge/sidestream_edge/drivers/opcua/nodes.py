"""How `edge.yaml` names a variable: a node id whose namespace is given by URI or by index, or a path of browse names. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sidestream_contracts.errors import ContractError
from sidestream_contracts.ids import nearest

_PARTS = re.compile(r"(?:ns=(?P<index>\d+);|nsu=(?P<uri>[^;]+);)?(?P<rest>[isgb]=.+)", re.DOTALL)
_SHOWN = 8
_LIKENESS = 0.6


@dataclass(frozen=True, slots=True)
class Address:
    """A node id: `rest` is `i=…`, `s=…`, `g=…` or `b=…`; its namespace by `uri`, or else by `index`."""

    rest: str
    uri: str | None = None
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `nsu=URI;s=NAME` or `ns=2;s=NAME`; percent signs in the URI stand for what OPC 10000-6, 5.3.1.11 escapes."""
        match = _PARTS.fullmatch(text)
        if match is None:
            raise ContractError("no_node_id", f"{text!r} is no node id; write nsu=URI;s=NAME or i=NUMBER")
        uri = match["uri"]
        return cls(match["rest"], uri and uri.replace("%3B", ";").replace("%25", "%"), int(match["index"] or 0))

    def text(self, namespaces: Sequence[str]) -> str:
        """The node id under today's namespace array; ContractError `no_namespace` that lists those that there are."""
        if self.uri is None:
            if self.index >= len(namespaces):
                raise ContractError(
                    "no_namespace", f"the server has {len(namespaces)} namespaces, none of index {self.index}"
                )
            return f"ns={self.index};{self.rest}"
        if self.uri not in namespaces:
            raise ContractError(
                "no_namespace", f"the server has no namespace {self.uri!r}{instead_of(self.uri, namespaces)}"
            )
        return f"ns={namespaces.index(self.uri)};{self.rest}"

    def fixed(self, namespaces: Sequence[str]) -> Address:
        """The same node by URI, so that it is still found when the server deals its indexes anew."""
        if self.uri is not None or not 0 < self.index < len(namespaces):
            return self
        return Address(self.rest, namespaces[self.index])


def portable(node_id: str, namespaces: Sequence[str]) -> str:
    """`ns=2;s=X` as `nsu=URI;s=X`, which does not change when the server is restarted."""
    fixed = Address.parse(node_id).fixed(namespaces)
    uri = fixed.uri and fixed.uri.replace("%", "%25").replace(";", "%3B")
    return f"nsu={uri};{fixed.rest}" if uri else fixed.rest


def path_text(names: Sequence[str]) -> str:
    """The path of these browse names, as `path_names` reads it."""
    return "/".join(re.sub(r"([&/])", r"&\1", name) for name in names)


def instead_of(asked: str, there: Sequence[str]) -> str:
    """`; did you mean …?` or else what there is."""
    if near := nearest(asked, there, _LIKENESS):
        return f"; did you mean {near!r}?"
    return f"; there is: {', '.join(repr(one) for one in there[:_SHOWN])}" if there else "; there is none"

"""Small changes to a YAML file that leave everything else as it stands, comments and layout included.

The text is changed at the places that the parser names; it is never written anew from what was read.
"""

from __future__ import annotations

from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidestream_contracts.errors import ConfigurationError


def add_item(text: str, section: str, line: str) -> str:
    """The text with `- line` as the last item of the list `section`, which is made where it is not there."""
    node = _value(_root(text), section)
    if node is None:
        return f"{text.rstrip()}\n\n{section}:\n  - {line}\n"
    if isinstance(node, ScalarNode):  # `sensors:` with nothing after it
        return _after_line(text, node.start_mark.line, f"  - {line}")
    if not isinstance(node, SequenceNode):
        raise ConfigurationError(f"`{section}` is no list, so nothing can be added to it.")
    if not node.flow_style:
        return _after_line(text, _last_line(node), " " * node.start_mark.column + f"- {line}")
    end = node.end_mark.index - 1  # before the closing bracket
    return f"{text[:end].rstrip()}{', ' if node.value else ''}{line}{text[end:]}"


def set_key(text: str, section: str, item_id: str, key: str, value: str, *, after: str = "id") -> str:
    """The text with `key: value` in the item of that id, in place of what stood there or else behind the key `after`."""
    item = _item(_value(_root(text), section), item_id)
    if item is None:
        raise ConfigurationError(f"`{section}` has no item {item_id!r}.")
    old = _value(item, key)
    if old is not None:
        return text[: old.start_mark.index] + value + text[old.end_mark.index :]
    place = _value(item, after) or _value(item, "id")
    assert place is not None
    if item.flow_style:
        at = place.end_mark.index
        return f"{text[:at]}, {key}: {value}{text[at:]}"
    return _after_line(text, place.end_mark.line, " " * item.start_mark.column + f"{key}: {value}")


def _root(text: str) -> MappingNode:
    root = YAML(typ="rt", pure=True).compose(text)
    if not isinstance(root, MappingNode):
        raise ConfigurationError("The file is no mapping, `key: value` on each line.")
    return root


def _value(mapping: MappingNode, key: str) -> Node | None:
    return next((value for name, value in mapping.value if isinstance(name, ScalarNode) and name.value == key), None)


def _item(items: Node | None, item_id: str) -> MappingNode | None:
    for item in items.value if isinstance(items, SequenceNode) else ():
        named = _value(item, "id") if isinstance(item, MappingNode) else None
        if isinstance(named, ScalarNode) and named.value == item_id:
            found: MappingNode = item
            return found
    return None


def _last_line(node: Node) -> int:
    """The last line on which something of the node stands; a block's own end mark is where the next thing begins."""
    is_block = isinstance(node, MappingNode | SequenceNode) and not node.flow_style
    if not is_block or not node.value:
        end = node.end_mark
        return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)
    return max(_last_line(child) for child in _children(node))


def _children(node: Node) -> Iterator[Node]:
    for child in node.value:
        if isinstance(child, tuple):
            yield from child
        else:
            yield child


def _after_line(text: str, number: int, line: str) -> str:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join([*lines[: number + 1], f"{line}\n", *lines[number + 1 :]])

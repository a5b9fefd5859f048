"""Fields of a newer edge that this version doesn't know: kept beside the frame, never a reason to refuse what it measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sidestream_store.quarantine import storable

MOST_LEVELS = 32
TOO_DEEP = "(nested too deeply to be kept)"


def storable_fields(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields as PostgreSQL's jsonb can keep them, or None where there are none.

    It has neither NUL nor lone surrogates (they become U+FFFD), nor NaN and infinities (they become their names). What is
    nested deeper than MOST_LEVELS becomes a remark. A field that differs in nothing but that is still worth more than none,
    and the readings beside it are not to blame.
    """
    return {storable(name): _storable(value, MOST_LEVELS) for name, value in fields.items()} or None


def _storable(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return TOO_DEEP
    if isinstance(value, list):
        return [_storable(item, levels - 1) for item in value]
    return {storable(name): _storable(item, levels - 1) for name, item in value.items()}

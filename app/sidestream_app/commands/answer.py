"""What a command says to a program: one JSON object on stdout, times in ISO 8601 with their zone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def print_json(facts: Mapping[str, Any]) -> None:
    """One line with these facts; letters are written as they are."""
    print(json.dumps(facts, default=datetime.isoformat, ensure_ascii=False))

"""The edge agent. structlog is loaded here, first, without rich: a gateway prints plain lines, and rich costs it 0.2 s and 10 MB."""

from __future__ import annotations

import sys

_HIDDEN = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type]
import structlog  # noqa: E402, F401

if _HIDDEN:
    del sys.modules["rich"]

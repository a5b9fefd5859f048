"""When an edge node may be asked for its births: at once, then after 5 s, 10 s, … 5 min, until it was born."""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_S = 5.0
LONGEST_S = 300.0


@dataclass(slots=True)
class Rebirths:
    """Holds back requests that come too often; pure, with the time in monotonic seconds."""

    _next_s: dict[str, float] = field(default_factory=dict)
    _wait_s: dict[str, float] = field(default_factory=dict)

    def may_ask(self, node: str, now_s: float) -> bool:
        """Whether `node` may be asked now; it then counts as asked."""
        if now_s < self._next_s.get(node, float("-inf")):
            return False
        wait_s = self._wait_s.get(node, FIRST_S)
        self._next_s[node], self._wait_s[node] = now_s + wait_s, min(2 * wait_s, LONGEST_S)
        return True

    def born(self, node: str) -> None:
        """It was born: the next request waits for as little as the first time, but never for less."""
        self._wait_s.pop(node, None)

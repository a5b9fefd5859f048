"""Any scale whose lines a regular expression can describe. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidestream_contracts.edge_lines import ScaleLines
from sidestream_edge.drivers.lines import Fault, LineSplitter
from sidestream_edge.drivers.scale.shown import Shown, State

_MOST = 200


class Patterns:
    """Lines become weights by the first pattern that fits a whole line."""

    begin = b""

    def __init__(self, config: ScaleLines) -> None:
        self.name = "a line of `lines.patterns`"
        self.request = (config.request or "").encode()
        self._config = config
        self._patterns = [re.compile(pattern) for pattern in config.patterns]
        self._states: dict[str, State] = {}
        words: tuple[tuple[State, list[str]], ...] = (
            ("invalid", config.invalid), ("under", config.under), ("over", config.over), ("stable", config.stable),
        )  # fmt: skip
        for state, those in words:
            self._states.update(dict.fromkeys(those, state))
        self._lines = LineSplitter(etx=True)

    def feed(self, data: bytes) -> Iterator[Shown | Fault]:
        """What the lines that `data` completes say."""
        for line in self._lines.feed(data):
            yield line if isinstance(line, Fault) else self._read(line.replace("\x02", ""))

    def cut(self) -> Fault | None:
        """Half a line that won't be finished."""
        return self._lines.cut()

    def _read(self, line: str) -> Shown | Fault:
        for pattern in self._patterns if len(line) <= _MOST else []:
            if found := pattern.fullmatch(line):
                return self._shown(found.groupdict(), line)
        return Fault("bad_lines", f"{line[:40]!r} fits none of `lines.patterns`")

    def _shown(self, said: dict[str, str | None], line: str) -> Shown | Fault:
        word = (said.get("state") or "").strip()
        state = self._states.get(word, "unstable") if "state" in said else "stable"
        try:
            value, tare = self._number(said, "value"), self._number(said, "tare")
        except ValueError:
            return Fault("bad_lines", f"{line[:40]!r}: {said.get('value')!r} is no number")
        if value is None and state in {"stable", "unstable"}:
            state = "invalid"
        kind = said.get("kind")
        net = None if kind is None else kind.strip() in self._config.net
        code = (said.get("code") or "").strip() or None
        return Shown(state, value, (said.get("unit") or "").strip() or None, net, tare, code)

    def _number(self, said: dict[str, str | None], name: str) -> float | None:
        text = (said.get(name) or "").replace(" ", "")
        if not text:
            return None
        if self._config.decimal_comma:
            text = text.replace(",", ".", 1)
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text):
            raise ValueError(text)
        sign = -1.0 if name == "value" and (said.get("sign") or "").strip() == "-" else 1.0
        return sign * float(text)

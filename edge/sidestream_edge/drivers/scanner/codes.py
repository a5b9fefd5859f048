"""What a line of a scanner means: a code without its prefix and suffix, or a fault. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sidestream_edge.drivers.lines import Fault


@dataclass(frozen=True, slots=True)
class Affixes:
    """What the scanner is set to put before and behind each code."""

    prefix: str = ""
    suffix: str = ""

    def code_of(self, line: str | Fault) -> str | Fault:
        """The code in `line`; a fault where prefix or suffix are missing or nothing is left between them."""
        if isinstance(line, Fault):
            return line
        if len(line) < len(self.prefix) + len(self.suffix) or not line.startswith(self.prefix):
            return Fault("bad_lines", f"{line[:40]!r} does not begin with the prefix {self.prefix!r}; not taken")
        if not line.endswith(self.suffix):
            return Fault("bad_lines", f"{line[:40]!r} does not end with the suffix {self.suffix!r}; not taken")
        code = line[len(self.prefix) : len(line) - len(self.suffix)]
        return code or Fault("bad_lines", f"{line[:40]!r} holds no code between prefix and suffix")

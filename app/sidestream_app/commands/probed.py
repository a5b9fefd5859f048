"""What all `sidestream edge probe …` commands share: the device's address, the answer, and the draft of the `edge.yaml`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.probe.draft import Head, edge_yaml, write_draft

_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:\s/]+)(?::(?P<port>\d{1,5}))?")
_HEAD = Head()


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Where the draft goes, and what stands at its head."""

    write: Annotated[Path | None, Parameter(help="Write a draft here, e.g. edge.yaml.")] = None
    overwrite: Annotated[bool, Parameter(negative=(), help="With --write: replace a file that is there.")] = False
    hub: Annotated[str, Parameter(help="Hub of the draft, as in hub.yaml.")] = _HEAD.hub
    party: Annotated[str, Parameter(help="Party of the draft, as in hub.yaml.")] = _HEAD.party
    device: Annotated[str, Parameter(help="This gateway in the draft, as in hub.yaml.")] = _HEAD.device
    broker_host: Annotated[str, Parameter(help="The hub's broker in the draft.")] = _HEAD.broker_host

    def check(self) -> None:
        """ConfigurationError before anything is asked, if the file is there and is not to be replaced."""
        if self.write is not None and self.write.exists() and not self.overwrite:
            write_draft(self.write, "")

    def answer(self, said: Sequence[str], facts: Mapping[str, Any], sections: Sequence[str], *, as_json: bool) -> None:
        """Prints what was found, and writes the draft; says so where there is none."""
        head = Head(self.hub, self.party, self.device, self.broker_host)
        draft = edge_yaml(head, said[:1], sections) if sections else None
        if as_json:
            print_json({**facts, "draft": draft})
        else:
            print("\n".join(said))
        if self.write is not None:
            self._put(self.write, draft)

    def _put(self, path: Path, draft: str | None) -> None:
        if draft is None:
            print(f"{path}: not written, since nothing was found that could be read.", file=sys.stderr)
            return
        write_draft(path, draft, overwrite=self.overwrite)
        print(f"{path}: a draft is written; go through it, then: sidestream edge check {path}", file=sys.stderr)


NO_DRAFT = Draft()


def host_and_port(text: str, usual_port: int) -> tuple[str, int]:
    """`HOST`, `HOST:PORT` or `[v6]:PORT`; ConfigurationError for anything else."""
    match = _HOST.fullmatch(text)
    if match is None or not 1 <= int(match["port"] or usual_port) <= 65535:
        raise ConfigurationError(f"{text!r} is no HOST or HOST:PORT; e.g. 10.0.0.5 or meter.local:{usual_port}.")
    return match["host"].strip("[]"), int(match["port"] or usual_port)

"""`sidestream edge status`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson
from sidestream_app.edge_local.file import EdgeYaml, glance
from sidestream_app.edge_local.judge import asleep, judge
from sidestream_app.status.line import RANK, Line
from sidestream_app.status.screen import WORDS, print_line
from sidestream_contracts.errors import DomainError, TransientError

if TYPE_CHECKING:
    from sidestream_contracts.edge import EdgeFile


def status(file: EdgeYaml = Path("edge.yaml"), /, *, as_json: AsJson = False) -> int:
    """How the agent on this machine is doing: broker, hub, outbox, clock, and each device with its polls and what is wrong.

    Asks the agent itself, so it needs no network; says so when no agent runs, with what waits in its outbox. Run it as the
    agent's user (`sudo -u sidestream …`). Exit code 0 when all is well, 1 when something needs somebody, 2 for a wrong file.
    """
    edge, outbox = glance(file)
    now_at = datetime.now(UTC)
    state = _ask(outbox)
    lines = [*_not_running(state, file, outbox, now_at)] if isinstance(state, Exception) else list(judge(state, now_at))
    worst = max((line.level for line in lines), key=lambda level: RANK[level])
    if as_json:
        facts = {"running": False} if isinstance(state, Exception) else {"running": True, **state}
        print_json({"at": now_at, "level": worst, "lines": [asdict(line) for line in lines], **facts})
    else:
        _show(edge, now_at, lines)
        print("\nAll is well." if worst == "ok" else f"\nSomething needs somebody; the worst is {WORDS[worst]}.")
    return int(worst != "ok")


def _ask(outbox: Path) -> dict[str, Any] | DomainError | TransientError:
    from sidestream_edge.local.knock import Knock

    try:
        with Knock(outbox) as agent:
            return agent.state()
    except (DomainError, TransientError) as error:
        return error


def _not_running(error: Exception, file: Path, outbox: Path, now_at: datetime) -> list[Line]:
    from sidestream_edge.outbox import waiting_lanes

    start = f"start it: `systemctl start sidestream-edge`, or `sidestream edge run {file}`"
    if isinstance(error, TransientError):
        lines = [Line("agent", "broken", str(error), "see its log")]
    else:
        lines = [Line("agent", "broken", str(error), start)]
    try:
        return [*lines, asleep(waiting_lanes(outbox), now_at)]
    except DomainError:
        return [*lines, Line("outbox", "ok", f"there is none yet at {outbox}: the agent has never run here")]


def _show(edge: EdgeFile, now_at: datetime, lines: list[Line]) -> None:
    print(f"{edge.device} of {edge.party}, hub {edge.hub}; {now_at:%Y-%m-%d %H:%M:%S} UTC\n")
    width = max(12, *(len(line.subject) for line in lines))
    for line in lines:
        print_line(line, width)

"""`sidestream status`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson, Dsn
from sidestream_app.status.screen import WORDS, print_line

if TYPE_CHECKING:
    from sidestream_app.status.ask import Look
    from sidestream_app.status.line import Level


def status(
    *,
    dsn: Dsn,
    broker_host: Annotated[
        str | None,
        Parameter(env_var="SIDESTREAM_BROKER_HOST", help="MQTT broker; known from ingest's heartbeat if left out."),
    ] = None,
    broker_port: Annotated[int, Parameter(env_var="SIDESTREAM_BROKER_PORT", help="Its port.")] = 1883,
    metrics: Annotated[
        tuple[str, ...],
        Parameter(help="Address of a process's metrics; still tells of ingest when the database is away."),
    ] = (),
    disk: Annotated[tuple[Path, ...], Parameter(help="A folder whose disk must have room, e.g. the database's.")] = (),
    strict: Annotated[
        bool, Parameter(negative=(), help="Exit code 1 for `attention` too, not only for `broken`.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Is the plant well? One screen: each line is OK, ATTENTION or BROKEN, says why, and what to do next.

    Ends within two seconds, also while parts are down. A viewer's login (`sidestream db viewer`) is enough. Exit code 0 when
    nothing is broken, 1 else. `--metrics` and `--disk` may be given several times.
    """
    from sidestream_app.status.ask import Where, look
    from sidestream_app.status.line import RANK

    seen = look(Where(dsn, (broker_host, broker_port) if broker_host else None, metrics, disk))
    worst = max((line.level for line in seen.lines), key=lambda level: RANK[level])
    if as_json:
        print(json.dumps(_facts(seen, worst), ensure_ascii=False))
    else:
        _show(seen, worst)
    return int(RANK[worst] >= (1 if strict else 2))


def _facts(seen: Look, worst: Level) -> dict[str, object]:
    hub = seen.plant.hub if seen.plant else None
    return {
        "at": datetime.now(UTC).isoformat(),
        "hub": hub.id if hub else None,
        "level": worst,
        "lines": [asdict(line) for line in seen.lines],
    }


def _show(seen: Look, worst: Level) -> None:
    hub = seen.plant.hub if seen.plant else None
    now_at = datetime.now(ZoneInfo(hub.timezone) if hub else UTC)
    name = f"{hub.name} ({hub.id})" + (", made-up figures" if hub.synthetic else "") if hub else "Sidestream"
    print(f"{name}, {now_at:%A %Y-%m-%d %H:%M:%S %Z}\n")
    for line in seen.lines:
        print_line(line)
    odd = sum(line.level != "ok" for line in seen.lines)
    print(
        "\nAll is well."
        if worst == "ok"
        else f"\n{odd} of {len(seen.lines)} lines need somebody; the worst is {WORDS[worst]}."
    )

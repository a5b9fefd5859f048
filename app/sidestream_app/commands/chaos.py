"""`sidestream chaos` and `sidestream chaos fuzz`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sidestream_app.commands.duration import seconds_of
from sidestream_app.commands.options import AsJson
from sidestream_contracts.errors import ConfigurationError

_INTERRUPTED = 130
_QUICK_S = 16.0

app = App(name="chaos", help="Faults at seeded random moments on real processes, then exact counting.")


@app.default
def chaos(
    *,
    seed: Annotated[int, Parameter(help="Fixes which fault strikes when, and how.")] = 1,
    duration: Annotated[str, Parameter(name="--for", help="How long faults strike, e.g. 60s or 5m.")] = "60s",
    as_json: AsJson = False,
    quick: Annotated[bool, Parameter(negative=(), help="16 s of faults, closer together.")] = False,
    faults: Annotated[str, Parameter(help="Only these numbers of the catalogue, e.g. 1,2,8.")] = "",
    flows: Annotated[bool, Parameter(help="Run the flows process as well.")] = True,
    home: Annotated[Path, Parameter(name="--dir", help="Where data and logs lie; emptied first.")] = Path(
        ".sidestream/chaos"
    ),
) -> int:
    """Starts PostgreSQL, a broker, two ingest workers, edges with simulated devices and the flows, and breaks them.

    Kills, cuts, freezes, fills the disk, replays, forges and poisons at seeded random moments, every kind at least once;
    then mends everything, waits until all has drained, and compares the journals of all senders with the database.
    Exit code 0 only when nothing is lost or doubled, all drained, memory grew by less than 10 %, and every fault was
    really done and ended as it must. 130 after Ctrl-C. All figures are synthetic.
    """
    from sidestream_app.chaos.faults import FAULTS
    from sidestream_app.chaos.report import as_object, as_text
    from sidestream_app.chaos.run import Options, run

    chosen = _numbers(faults) or tuple(FAULTS)
    outcome = run(Options(home, _QUICK_S if quick else seconds_of(duration), seed, chosen, quick, flows))
    if outcome is None:
        return _INTERRUPTED
    print(json.dumps(as_object(outcome), ensure_ascii=False) if as_json else as_text(outcome))
    return 1 if outcome.complaints() else 0


@app.command
def fuzz(
    *,
    count: Annotated[int, Parameter(help="How many bad messages.")] = 100_000,
    seed: Annotated[int, Parameter(help="Fixes the messages.")] = 1,
    as_json: AsJson = False,
    home: Annotated[Path, Parameter(name="--dir", help="Where the database lies; emptied first.")] = Path(
        ".sidestream/fuzz"
    ),
) -> int:
    """Sends generated bad messages, mixed with good ones, through one ingest worker into a real PostgreSQL.

    Every place of a frame, its bytes, its key and its topic are broken. Exit code 0 only when nothing was raised, every
    good neighbour landed once, every message with a readable key was acknowledged, and every entry of the quarantine
    names device, reason and what is wrong.
    """
    from sidestream_app.chaos.fuzz_run import as_text, run

    found = run(home, count, seed)
    print(json.dumps(found, ensure_ascii=False) if as_json else as_text(found))
    return 0 if found["ok"] else 1


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isdigit() for word in words):
        raise ConfigurationError(f"--faults {text!r} is no list of numbers; write e.g. 1,2,8.")
    return tuple(sorted({int(word) for word in words}))

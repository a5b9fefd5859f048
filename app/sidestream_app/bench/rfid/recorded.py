"""The same two methods on a recorded portal, where nobody knows what was there: leaves that later reads take back.

Format: `reads.csv` with columns milliseconds, epc, rssi, session, experiment_nr (Hasler, Wölbitsch, Goller, Walk,
IEEE RFID 2019). Its tags hang still and the reader moves about: a leave that a later read of the same experiment takes back
counts as a phantom, though the reader may have been far away meanwhile.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from sidestream_app.bench.rfid.methods import Told, fixed_window, smurf
from sidestream_app.bench.rfid.simulated import DEFAULT
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.rfid.events import Read

WINDOWS_S = (0.2, 0.4, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
DELTAS = (1e-2, 1e-3, DEFAULT)
PLACE = "store"


def load(folder: Path) -> dict[str, list[list[Read]]]:
    """Reads of each experiment in order, by Gen2 session; ConfigurationError where the file is not as it should be."""
    path = folder / "reads.csv"
    found: dict[tuple[str, str], list[Read]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                read = Read(int(row["milliseconds"]) * 1000, row["epc"], PLACE, float(row["rssi"]))
                found[row["session"], row["experiment_nr"]].append(read)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is no recorded portal: {error!r}. It needs columns milliseconds, epc, rssi, session, experiment_nr."
        ) from error
    sessions: dict[str, list[list[Read]]] = defaultdict(list)
    for (session, _), reads in sorted(found.items()):
        sessions[session].append(sorted(reads))
    return sessions


def study(folder: Path) -> dict[str, Any]:
    """Phantom leaves and the silence that was waited for, by session and method."""
    return {"source": str(folder), "sessions": [_session(name, runs) for name, runs in load(folder).items()]}


def _session(name: str, runs: Sequence[Sequence[Read]]) -> dict[str, Any]:
    gaps_s = [gap for reads in runs for gap in _gaps_s(reads)]
    methods = [("fixed", w, [fixed_window(reads, w) for reads in runs]) for w in WINDOWS_S]
    methods += [("smurf", d, [smurf(reads, d) for reads in runs]) for d in DELTAS]
    return {
        "session": name,
        "reads": sum(map(len, runs)),
        "tags": sum(len({read.tag for read in reads}) for reads in runs),
        "median_gap_s": round(median(gaps_s), 2),
        "methods": [
            {"method": kind, "setting": setting, **_phantoms([one for told in all_told for one in _marked(told)])}
            for kind, setting, all_told in methods
        ],
        "default_delta": DEFAULT,
    }


def _gaps_s(reads: Sequence[Read]) -> list[float]:
    last: dict[str, int] = {}
    gaps = []
    for read in reads:
        if read.tag in last:
            gaps.append((read.t_us - last[read.tag]) / 1e6)
        last[read.tag] = read.t_us
    return gaps


def _marked(told: Sequence[Told]) -> list[tuple[Told, bool]]:
    """Leaves of one experiment, each with whether the tag entered again later."""
    last_enter: dict[str, int] = {}
    for one in told:
        if not one.is_leave:
            last_enter[one.tag] = max(one.t_us, last_enter.get(one.tag, one.t_us))
    return [(one, last_enter[one.tag] > one.t_us) for one in told if one.is_leave]


def _phantoms(leaves: Sequence[tuple[Told, bool]]) -> dict[str, Any]:
    waited_s = [(one.decided_us - one.t_us) / 1e6 for one, again in leaves if not again]
    phantom = sum(again for _, again in leaves)
    final = len(leaves) - phantom
    return {
        "leaves": len(leaves),
        "phantom": phantom,
        "phantom_per_tag": round(phantom / final, 4) if final else None,
        "waited_s": round(sum(waited_s) / len(waited_s), 2) if waited_s else None,
    }

"""Apply once: a frame's ledger row and everything it brings are committed in one transaction, or nothing is.

A frame that is in the ledger already brings nothing, so the same frame may come any number of times, from any worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from sidestream_contracts import failpoint
from sidestream_contracts.errors import ContractError
from sidestream_store import ledger, telemetry
from sidestream_store.batch import CheckedFrame, LedgerKey
from sidestream_store.connect import transient_errors
from sidestream_store.quarantine import Quarantined, insert_quarantine


@dataclass(frozen=True, slots=True)
class Applied:
    """What one transaction did: frames new to the ledger and what they held, frames seen before, sensors that changed.

    `reasons`: how many entries went to quarantine, by reason.
    """

    new: int
    seen: int
    readings: int
    quarantined: int
    sensor_ids: frozenset[int] = field(default_factory=frozenset)
    reasons: Mapping[str, int] = field(default_factory=dict)


def apply_frames(
    connection: psycopg.Connection, frames: Sequence[CheckedFrame], loose: Sequence[Quarantined] = ()
) -> Applied:
    """Every frame not yet in the ledger is in it afterwards with all it brought; `loose` quarantine lands as well.

    TransientError: nothing was committed, try again. ContractError `database_refused`: one of the frames is poison.
    """
    wanted: dict[LedgerKey, CheckedFrame] = {}
    others = [frame for frame in frames if wanted.setdefault(frame.ledger_key, frame).key.hash != frame.key.hash]
    try:
        with transient_errors("apply frames"), connection.transaction():
            frame_ids = ledger.enter(connection, wanted)
            new = {key: wanted[key] for key in frame_ids}
            seen = [f for key, f in wanted.items() if key not in frame_ids]
            stolen = ledger.clashes(connection, [*seen, *others])
            changed = telemetry.write(connection, new, frame_ids)
            apart = [*loose, *stolen, *(q for f in new.values() for q in f.quarantine)]
            insert_quarantine(connection, apart)
            failpoint.reach("ingest.before_commit")
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise ContractError("database_refused", f"The database refuses what the frame brings: {error}") from error
    failpoint.reach("ingest.after_commit")
    readings = sum(len(f.readings) + len(f.scans) for f in new.values())
    quarantined = sum(q.readings for f in new.values() for q in f.quarantine)
    reasons = Counter(entry.reason for entry in apart)
    return Applied(len(new), len(frames) - len(new), readings, quarantined, changed, reasons)

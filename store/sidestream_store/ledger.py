"""The ledger: which frames are committed. It alone prevents doubles, and acknowledgements are read from it alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from sidestream_contracts.errors import DomainError
from sidestream_contracts.frame import LANES, Lane
from sidestream_contracts.messages import Acknowledgement
from sidestream_store.batch import CheckedFrame, LedgerKey
from sidestream_store.connect import transient_errors
from sidestream_store.quarantine import Quarantined

_MAX_RANGES = 64


def enter(connection: psycopg.Connection, wanted: Mapping[LedgerKey, CheckedFrame]) -> dict[LedgerKey, int]:
    """Frame ids of the frames that were not in the ledger; entered in key order, so that two workers never deadlock."""
    frames = [wanted[key] for key in sorted(wanted)]
    rows = connection.execute(
        "INSERT INTO sidestream.frame"
        " (device_id, epoch, lane, seq, hash, kind, recorded, readings, received_at, extra)"
        ' SELECT * FROM unnest(%s::int[], %s::uuid[], %s::text[]::"char"[], %s::bigint[], %s::bytea[], %s::text[],'
        " %s::boolean[], %s::int[], %s::timestamptz[], %s::jsonb[])"
        " ON CONFLICT DO NOTHING RETURNING frame_id, device_id, replace(epoch::text, '-', ''), lane::text, seq",
        [
            [f.device_id for f in frames],
            [f.key.epoch for f in frames],
            [f.key.lane[0] for f in frames],
            [f.key.seq for f in frames],
            [bytes.fromhex(f.key.hash) for f in frames],
            [f.kind for f in frames],
            [f.recorded for f in frames],
            [len(f.readings) + len(f.scans) for f in frames],
            [f.message.received_at for f in frames],
            [Jsonb(f.extra) if f.extra else None for f in frames],
        ],
    ).fetchall()
    return {(row[1], row[2], row[3], row[4]): row[0] for row in rows}


def clashes(connection: psycopg.Connection, seen: Sequence[CheckedFrame]) -> list[Quarantined]:
    """Frames whose key is in the ledger with other bytes: an old gateway image, a clone, or an attack."""
    if not seen:
        return []
    rows = connection.execute(
        "SELECT f.device_id, replace(f.epoch::text, '-', ''), f.lane::text, f.seq, encode(f.hash, 'hex')"
        ' FROM sidestream.frame f JOIN unnest(%s::int[], %s::uuid[], %s::text[]::"char"[], %s::bigint[])'
        " AS k (device_id, epoch, lane, seq) USING (device_id, epoch, lane, seq)",
        [
            [f.device_id for f in seen],
            [f.key.epoch for f in seen],
            [f.key.lane[0] for f in seen],
            [f.key.seq for f in seen],
        ],
    ).fetchall()
    known = {(row[0], row[1], row[2], row[3]): row[4] for row in rows}
    return [stolen_key(f, known[f.ledger_key]) for f in seen if known.get(f.ledger_key, f.key.hash) != f.key.hash]


def own_row(connection: psycopg.Connection, frame: CheckedFrame) -> int:
    """The id of the frame's row in the ledger, where it is entered, with no readings yet, if it never was.

    DomainError where the row belongs to other bytes: what was sent under this key counts already.
    """
    entered = enter(connection, {frame.ledger_key: frame})
    if frame.ledger_key in entered:
        connection.execute("UPDATE sidestream.frame SET readings = 0 WHERE frame_id = %s", [entered[frame.ledger_key]])
        return entered[frame.ledger_key]
    row = connection.execute(
        "SELECT frame_id, encode(hash, 'hex') FROM sidestream.frame"
        ' WHERE device_id = %s AND epoch = %s::uuid AND lane = %s::"char" AND seq = %s',
        list(frame.ledger_key),
    ).fetchone()
    if row is None:
        raise DomainError(f"Frame {frame.key.lane}/{frame.key.seq} is older than the ledger reaches.")
    if row[1] != frame.key.hash:
        raise DomainError(f"Frame {frame.key.lane}/{frame.key.seq} of this epoch is in the ledger with other content.")
    return int(row[0])


def add_readings(connection: psycopg.Connection, frame: CheckedFrame, count: int) -> None:
    """The frame's row counts what was replayed of it as well."""
    connection.execute(
        "UPDATE sidestream.frame SET readings = readings + %s"
        ' WHERE device_id = %s AND epoch = %s::uuid AND lane = %s::"char" AND seq = %s',
        [count, *frame.ledger_key],
    )


def stolen_key(frame: CheckedFrame, first_hash: str) -> Quarantined:
    """The quarantine entry for a frame whose key belongs to other bytes already."""
    detail = (
        f"Frame {frame.key.lane}/{frame.key.seq} of epoch {frame.key.epoch} came again with other content "
        f"(first SHA-256 {first_hash[:12]}…, now {frame.key.hash[:12]}…); the first one counts. "
        "Look for two gateways with one identity."
    )
    return frame.message.quarantined("key_reused", detail, len(frame.readings) + len(frame.scans))


def acknowledgements(
    connection: psycopg.Connection, keys: Iterable[tuple[int, str, Lane]]
) -> dict[tuple[int, str, Lane], Acknowledgement]:
    """For each (device, epoch, lane): what is committed, as the ledger says now; the contiguous mark moves up with it."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    with transient_errors("read acknowledgements"), connection.transaction():
        rows = connection.execute(
            'WITH k AS (SELECT * FROM unnest(%s::int[], %s::uuid[], %s::text[]::"char"[]) AS k (device_id, epoch, lane)),'
            " b AS (SELECT k.*, COALESCE(m.upto, 0) AS mark FROM k LEFT JOIN sidestream.frame_mark m USING (device_id, epoch, lane)),"
            " g AS (SELECT b.device_id, b.epoch, b.lane, b.mark, f.seq,"
            "   f.seq - row_number() OVER (PARTITION BY b.device_id, b.epoch, b.lane ORDER BY f.seq) AS island"
            "   FROM b LEFT JOIN sidestream.frame f"
            "   ON f.device_id = b.device_id AND f.epoch = b.epoch AND f.lane = b.lane AND f.seq > b.mark)"
            " SELECT device_id, replace(epoch::text, '-', ''), lane::text, mark, min(seq), max(seq) FROM g"
            " GROUP BY device_id, epoch, lane, mark, island ORDER BY device_id, epoch, lane, min(seq)",
            [[k[0] for k in wanted], [k[1] for k in wanted], [k[2][0] for k in wanted]],
        ).fetchall()
        found = _fold_ranges(rows)
        _raise_marks(connection, found)
    return found


def _fold_ranges(rows: Iterable[Sequence[Any]]) -> dict[tuple[int, str, Lane], Acknowledgement]:
    lanes: dict[str, Lane] = {lane[0]: lane for lane in LANES}
    found: dict[tuple[int, str, Lane], Acknowledgement] = {}
    for device_id, epoch, letter, mark, low, high in rows:
        key = (device_id, epoch, lanes[letter])
        ack = found.setdefault(key, Acknowledgement(epoch=epoch, lane=lanes[letter], upto=mark, also=[]))
        if low is None:
            continue
        if low == ack.upto + 1:
            found[key] = ack.model_copy(update={"upto": high})
        elif len(ack.also) < _MAX_RANGES:
            ack.also.append((low, high))
    return found


def _raise_marks(connection: psycopg.Connection, found: dict[tuple[int, str, Lane], Acknowledgement]) -> None:
    keys = sorted(key for key, ack in found.items() if ack.upto)
    connection.execute(
        "INSERT INTO sidestream.frame_mark AS m (device_id, epoch, lane, upto)"
        ' SELECT * FROM unnest(%s::int[], %s::uuid[], %s::text[]::"char"[], %s::bigint[])'
        " ON CONFLICT (device_id, epoch, lane) DO UPDATE SET upto = GREATEST(m.upto, excluded.upto)",
        [[k[0] for k in keys], [k[1] for k in keys], [k[2][0] for k in keys], [found[k].upto for k in keys]],
    )

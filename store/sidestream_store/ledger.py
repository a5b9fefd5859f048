"""The ledger: which frames are committed. It alone prevents doubles, and acknowledgements are read from it alone.

A frame is in it when its row is in `frame`, or when its seq is in `held`: the ranges known to be committed, into which old
rows are folded. `held` is raised only from rows that are committed, so it never says too much. It says less than it could
where a sender leaves ever more gaps: from `MOST_RANGES` on a lane's `held` stays as it is, its rows in `frame` are kept, and
acknowledgements are read from them, so that none gets dearer with the gaps before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from psycopg.types.json import Jsonb

from sidestream_contracts.errors import DomainError
from sidestream_contracts.frame import LANES, Lane
from sidestream_contracts.messages import Acknowledgement
from sidestream_store.batch import CheckedFrame, LedgerKey
from sidestream_store.columns import flags, micros, numbers, words
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.quarantine import Quarantined

MOST_RANGES = 2_000
"""Ranges in one lane's `held` from which it is not raised any more; the same in `fold_ledger` (migration 0014)."""
_MAX_RANGES = 64
_FOLD_LOCK = 1_566_965_766
"""The advisory lock of migration 0006: apply-once holds it shared, folding alone."""
_LANES: dict[str, Lane] = {lane[0]: lane for lane in LANES}
_SYNC = {"synced": "s", "unsynced": "u", "unknown": "?"}
_KEY_COLUMNS = '%s::int[], %s::uuid[], %s::text[]::"char"[], %s::bigint[]'
_ENTER = (
    "INSERT INTO sidestream.frame"  # noqa: S608
    " (device_id, epoch, lane, seq, hash, kind, recorded, readings, received_at, sent_at, clock_sync, extra)"
    " SELECT device_id, epoch, lane, seq, decode(hash, 'hex'), kind, recorded, readings,"
    " timestamptz 'epoch' + received_us * interval '1 us', timestamptz 'epoch' + sent_us * interval '1 us', clock_sync, extra"
    f" FROM unnest({_KEY_COLUMNS}, %s::text[], %s::text[], %s::boolean[], %s::int[], %s::bigint[], %s::bigint[],"
    ' %s::text[]::"char"[], %s::jsonb[])'
    " AS k (device_id, epoch, lane, seq, hash, kind, recorded, readings, received_us, sent_us, clock_sync, extra)"
    " WHERE NOT EXISTS (SELECT FROM sidestream.frame_mark m WHERE m.device_id = k.device_id AND m.epoch = k.epoch"
    "   AND m.lane = k.lane AND m.held @> k.seq)"
    " ON CONFLICT DO NOTHING RETURNING frame_id, device_id, replace(epoch::text, '-', ''), lane::text, seq"
)
_OF_THE_HOUR = "WHERE device_id = %s AND epoch = %s::uuid AND lane = %s::\"char\" AND hour = date_trunc('hour', %s::timestamptz, 'UTC')"
_HOLD = (
    f"WITH k AS (SELECT * FROM unnest({_KEY_COLUMNS}) AS k (device_id, epoch, lane, seq)),"  # noqa: S608
    " asked AS (SELECT device_id, epoch, lane, range_agg(int8range(k.seq, k.seq, '[]')) AS seqs,"
    "   range_agg(int8range(f.seq, f.seq, '[]')) FILTER (WHERE f.seq IS NOT NULL) AS committed"
    "   FROM k LEFT JOIN sidestream.frame f USING (device_id, epoch, lane, seq) GROUP BY device_id, epoch, lane),"
    " grown AS (INSERT INTO sidestream.frame_mark AS m (device_id, epoch, lane, held)"
    "   SELECT device_id, epoch, lane, COALESCE(committed, '{}') FROM asked ORDER BY device_id, epoch, lane"
    "   ON CONFLICT (device_id, epoch, lane) DO UPDATE SET held ="
    f"   CASE WHEN (SELECT count(*) FROM unnest(m.held)) >= {MOST_RANGES} THEN m.held ELSE m.held + excluded.held END"
    "   RETURNING device_id, epoch, lane, held)"
    " SELECT device_id, replace(epoch::text, '-', ''), lane::text, lower(r), upper(r) - 1, r && a.seqs"
    " FROM grown JOIN asked a USING (device_id, epoch, lane)"
    " CROSS JOIN LATERAL unnest(held + COALESCE(a.committed, '{}')) WITH ORDINALITY AS h (r, place)"
    " WHERE place <= %s OR r && a.seqs ORDER BY device_id, epoch, lane, place"
)


def enter(connection: Connection, wanted: Mapping[LedgerKey, CheckedFrame]) -> dict[LedgerKey, int]:
    """Frame ids of the frames that were not in the ledger; entered in key order, so that two workers never deadlock."""
    frames = [wanted[key] for key in sorted(wanted)]
    # In a statement of its own, so that the next one sees all that was folded before the lock was had.
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_FOLD_LOCK])
    rows = connection.execute(
        _ENTER,
        [
            *_keys([f.ledger_key for f in frames]),
            words([f.key.hash for f in frames]),
            words([f.kind for f in frames]),
            flags([f.recorded for f in frames]),
            numbers([len(f.readings) + len(f.scans) for f in frames]),
            numbers([micros(f.message.received_at) for f in frames]),
            numbers([f.sending.at_us for f in frames]),
            words([_SYNC[f.sending.clock] for f in frames]),
            [Jsonb(f.extra) if f.extra else None for f in frames] if any(f.extra for f in frames) else "{}",
        ],
    ).fetchall()
    return {(row[1], row[2], row[3], row[4]): row[0] for row in rows}


def _keys(keys: Sequence[LedgerKey]) -> list[str]:
    """The keys as columns, in which the database takes them."""
    devices, epochs, lanes, seqs = zip(*keys, strict=True) if keys else ((), (), (), ())
    return [numbers(devices), words(epochs), words(lanes), numbers(seqs)]


def clashes(connection: Connection, seen: Sequence[CheckedFrame]) -> list[Quarantined]:
    """Frames whose key is in the ledger with other bytes: an old gateway image, a clone, or an attack.

    Of a folded row the bytes are no longer known, so such a frame counts as seen.
    """
    if not seen:
        return []
    rows = connection.execute(
        "SELECT f.device_id, replace(f.epoch::text, '-', ''), f.lane::text, f.seq, encode(f.hash, 'hex')"
        ' FROM sidestream.frame f JOIN unnest(%s::int[], %s::uuid[], %s::text[]::"char"[], %s::bigint[])'
        " AS k (device_id, epoch, lane, seq) USING (device_id, epoch, lane, seq)",
        _keys([f.ledger_key for f in seen]),
    ).fetchall()
    known = {(row[0], row[1], row[2], row[3]): row[4] for row in rows}
    return [stolen_key(f, known[f.ledger_key]) for f in seen if known.get(f.ledger_key, f.key.hash) != f.key.hash]


def own_row(connection: Connection, frame: CheckedFrame) -> int:
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
        return _folded_row(connection, frame)
    if row[1] != frame.key.hash:
        raise DomainError(f"Frame {frame.key.lane}/{frame.key.seq} of this epoch is in the ledger with other content.")
    return int(row[0])


def _folded_row(connection: Connection, frame: CheckedFrame) -> int:
    """A frame id by which the readings of a folded frame are explained; of its bytes nothing is known any more."""
    row = connection.execute(f"SELECT frame_from FROM sidestream.frame_fold {_OF_THE_HOUR}", _hour(frame)).fetchone()  # noqa: S608
    if row is None:
        raise DomainError(f"Frame {frame.key.lane}/{frame.key.seq} was committed, but the ledger has no trace of when.")
    return int(row[0])


def add_readings(connection: Connection, frame: CheckedFrame, count: int) -> None:
    """The frame's row, or the one into which it is folded, counts what was replayed of it as well."""
    done = connection.execute(
        "UPDATE sidestream.frame SET readings = readings + %s"
        ' WHERE device_id = %s AND epoch = %s::uuid AND lane = %s::"char" AND seq = %s',
        [count, *frame.ledger_key],
    )
    if not done.rowcount:
        query = f"UPDATE sidestream.frame_fold SET readings = readings + %s {_OF_THE_HOUR}"  # noqa: S608
        connection.execute(query, [count, *_hour(frame)])


def _hour(frame: CheckedFrame) -> list[Any]:
    return [*frame.ledger_key[:3], frame.message.received_at]


def stolen_key(frame: CheckedFrame, first_hash: str) -> Quarantined:
    """The quarantine entry for a frame whose key belongs to other bytes already."""
    detail = (
        f"Frame {frame.key.lane}/{frame.key.seq} of epoch {frame.key.epoch} came again with other content "
        f"(first SHA-256 {first_hash[:12]}…, now {frame.key.hash[:12]}…); the first one counts. "
        "Look for two gateways with one identity."
    )
    return frame.message.quarantined("key_reused", detail, len(frame.readings) + len(frame.scans))


def acknowledgements(connection: Connection, keys: Iterable[LedgerKey]) -> list[tuple[int, Acknowledgement]]:
    """What to tell each device of what is committed, so that each of these frames is told of if it is; device by device.

    Costs as much as there are keys and gaps, however many frames came after a gap. A lane with more ranges than fit into
    one acknowledgement gets several. `held` is written without waiting for the disk: what a crash takes from it is still
    in the ledger.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return []
    with transient_errors("read acknowledgements"), connection.pipeline(), connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = off")
        rows = connection.execute(_HOLD, [*_keys(wanted), _MAX_RANGES + 1])
    lanes = groupby(rows.fetchall(), key=lambda row: row[:3])
    return [ack for (device_id, epoch, letter), ranges in lanes for ack in _told(device_id, epoch, letter, [*ranges])]


def _told(
    device_id: int, epoch: str, letter: str, ranges: Sequence[Sequence[Any]]
) -> Iterator[tuple[int, Acknowledgement]]:
    """The acknowledgements of one lane: the ranges that were asked for, then as many of the others as fit beside them."""
    upto = ranges[0][4] if ranges[0][3] == 1 else 0
    above = ranges[1:] if upto else ranges
    asked = [(low, high) for _, _, _, low, high, is_asked in above if is_asked]
    others = [(low, high) for _, _, _, low, high, is_asked in above if not is_asked]
    room = -len(asked) % _MAX_RANGES if asked else _MAX_RANGES
    told = sorted([*asked, *others[:room]])
    for start in range(0, max(len(told), 1), _MAX_RANGES):
        also = told[start : start + _MAX_RANGES]
        yield device_id, Acknowledgement(epoch=epoch, lane=_LANES[letter], upto=upto, also=also)


def fold(connection: Connection, older_than: datetime, most: int = 5_000) -> int:
    """Ledger rows that came before `older_than` are folded into ranges; how many were.

    A folded frame stays committed: it is acknowledged when it comes again and brings nothing. `most` rows go at once,
    for so long apply-once waits.
    """
    folded = 0
    with transient_errors("fold the ledger"):
        while True:
            row = connection.execute("SELECT sidestream.fold_ledger(%s, %s)", [older_than, most]).fetchone()
            moved = int(row[0]) if row else 0
            folded += moved
            if moved < most:
                return folded

"""What could not be used is kept with its bytes, a machine-readable reason and a sentence; nothing vanishes.

Bounded: of each device and reason the first and the last `KEPT` open entries stay with their bytes, and at most
`KEPT_BYTES` of either; what lies between is only counted, exactly, in an entry that says so, one for each of the last
`KEPT` starts of the agent and one for all before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from sidestream_contracts.frame import payload_hash

KEPT = 100
"""Open entries of one device and reason whose bytes are kept: as many of the first, as many of the last."""
KEPT_BYTES = 16 * 1024 * 1024
"""Most bytes that the first, and the last, of them come to; the very first and the very last are always kept."""
LONGEST_RAW = 1024 * 1024
"""Longest message kept whole: the largest payload that an edge sends. Of a longer one the beginning is kept."""
NOT_TAKEN = ("bad_topic", "bad_key", "bad_status", "hash_mismatch")
"""Reasons for which a message never enters the ledger: it is not acknowledged, and the edge keeps what it holds."""
COUNTED = "counted"
_EARLIER = f"{COUNTED} earlier"
_EARLIER_DETAIL = f"Only counted: messages of this device and reason from starts of its agent before the last {KEPT} of which some were counted."
_COUNTED_DETAIL = f"Only counted: of this device and reason the first {KEPT} and the last {KEPT} messages are kept, and these came between."


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it arrived; `device` is `hub/party/device` of its topic, or empty where that can't be read."""

    topic: str
    device: str
    raw: bytes
    received_at: datetime
    properties: tuple[tuple[str, str], ...] = ()

    def quarantined(
        self, reason: str, detail: str, readings: int, *, sensor: str | None = None, part: bytes | None = None
    ) -> Quarantined:
        """A quarantine entry for this message, or for a `part` of it that concerns one sensor.

        A part is a frame of its own that holds only those readings, so that it can be checked again like any other.
        """
        raw = self.raw if part is None else part
        return Quarantined(self, reason, storable(detail), raw, self._identity(raw), readings, sensor)

    def _identity(self, raw: bytes) -> str:
        """The same for the same bytes under the same key: equal bytes of two frames are two messages, a re-send is one."""
        found = dict(self.properties)
        key = "|".join(found.get(name, "") for name in ("epoch", "lane", "seq"))
        return payload_hash(f"{key}|".encode() + raw)


def storable(text: str) -> str:
    """The text with whatever PostgreSQL can't keep (NUL, lone surrogates) replaced."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One message, or the readings of one sensor in a good frame, that could not be used."""

    message: Message
    reason: str
    detail: str
    raw: bytes
    hash: str
    readings: int
    sensor: str | None = None

    @property
    def epoch(self) -> str:
        """The start of the agent by which it is counted; empty where nobody vouches for it, so that there are few of them."""
        return "" if self.reason in NOT_TAKEN else dict(self.message.properties).get("epoch", "")


def insert_quarantine(connection: psycopg.Connection, items: Sequence[Quarantined]) -> None:
    """Each item is kept, or counted on the open entry that it repeats; what is past the quota is only counted.

    Counts of messages and readings are exact, whoever else writes at the same time.
    """
    for (device, reason), group in _groups(items):
        _one_writer(connection, device, reason)
        ends, between = (group, []) if len(group) <= 2 * KEPT else (group[:KEPT] + group[-KEPT:], group[KEPT:-KEPT])
        _keep(connection, ends, None)
        _only_count(connection, between)
        _make_room(connection, device, reason)
        _merge_counts(connection, device, reason)


def insert_leftovers(connection: psycopg.Connection, items: Sequence[Quarantined], *, from_id: int) -> None:
    """Each item is kept, beyond any quota: its bytes were kept before, as part of the entry `from_id`."""
    for (device, reason), group in _groups(items):
        _one_writer(connection, device, reason)
        _keep(connection, group, from_id)


def _groups(items: Sequence[Quarantined]) -> list[tuple[tuple[str, str], list[Quarantined]]]:
    groups: dict[tuple[str, str], list[Quarantined]] = {}
    for item in items:
        groups.setdefault((item.message.device, item.reason), []).append(item)
    return sorted(groups.items(), key=lambda group: group[0])


def _one_writer(connection: psycopg.Connection, device: str, reason: str) -> None:
    """Until the transaction ends; so two workers can't both find room for the hundredth entry."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('sidestream.quarantine'), hashtext(%s))", [f"{device} {reason}"]
    )


_UPSERT = (
    "INSERT INTO sidestream.quarantine AS q (device, reason, hash, detail, sensor, topic, properties, raw, raw_bytes,"
    " first_at, last_at, count, readings, from_id, counted_only)"
    " VALUES (%(device)s, %(reason)s, %(hash)s, %(detail)s, %(sensor)s, %(topic)s, %(properties)s, %(raw)s, %(raw_bytes)s,"
    " %(first)s, %(last)s, %(count)s, %(readings)s, %(from_id)s, %(counted_only)s)"
    " ON CONFLICT (device, reason, hash) WHERE state = 'open' DO UPDATE SET count = q.count + excluded.count,"
    " readings = q.readings + excluded.readings, first_at = LEAST(q.first_at, excluded.first_at),"
    " last_at = GREATEST(q.last_at, excluded.last_at), detail = excluded.detail"
)


def _keep(connection: psycopg.Connection, items: Sequence[Quarantined], from_id: int | None) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            _UPSERT,
            [
                {
                    "device": item.message.device,
                    "reason": item.reason,
                    "hash": item.hash,
                    "detail": item.detail,
                    "sensor": item.sensor,
                    "topic": item.message.topic,
                    "properties": Jsonb(item.message.properties),
                    "raw": item.raw[:LONGEST_RAW],
                    "raw_bytes": len(item.raw),
                    "first": item.message.received_at,
                    "last": item.message.received_at,
                    "count": 1,
                    "readings": item.readings,
                    "from_id": from_id,
                    "counted_only": False,
                }
                for item in items
            ],
        )


def _only_count(connection: psycopg.Connection, items: Sequence[Quarantined]) -> None:
    """One entry for each start of the agent, for that is what delivery is counted by."""
    messages, readings = Counter(item.epoch for item in items), Counter[str]()
    for item in items:
        readings[item.epoch] += item.readings
    with connection.cursor() as cursor:
        cursor.executemany(
            _UPSERT,
            [
                {
                    "device": items[0].message.device,
                    "reason": items[0].reason,
                    "hash": f"{COUNTED} {epoch}",
                    "detail": _COUNTED_DETAIL,
                    "sensor": None,
                    "topic": items[0].message.topic,
                    "properties": Jsonb([("epoch", epoch)] if epoch else []),
                    "raw": b"",
                    "raw_bytes": 0,
                    "first": min(item.message.received_at for item in items),
                    "last": max(item.message.received_at for item in items),
                    "count": messages[epoch],
                    "readings": readings[epoch],
                    "from_id": None,
                    "counted_only": True,
                }
                for epoch in sorted(messages)
            ],
        )


def _make_room(connection: psycopg.Connection, device: str, reason: str) -> None:
    """Open entries that are neither among the first nor among the last become a count; one being replayed now is left."""
    connection.execute(
        "WITH kept AS (SELECT quarantine_id,"
        "   row_number() OVER first AS first, sum(length(raw)) OVER first AS first_bytes,"
        "   row_number() OVER last AS last, sum(length(raw)) OVER last AS last_bytes"
        "   FROM sidestream.quarantine WHERE device = %(device)s AND reason = %(reason)s AND state = 'open'"
        "   AND NOT counted_only AND from_id IS NULL WINDOW first AS (ORDER BY quarantine_id),"
        "   last AS (ORDER BY last_at DESC, quarantine_id DESC)),"
        " victim AS (SELECT q.quarantine_id FROM sidestream.quarantine q JOIN kept k USING (quarantine_id)"
        "   WHERE (k.first > %(kept)s OR (k.first > 1 AND k.first_bytes > %(bytes)s))"
        "   AND (k.last > %(kept)s OR (k.last > 1 AND k.last_bytes > %(bytes)s)) FOR UPDATE OF q SKIP LOCKED),"
        " gone AS (DELETE FROM sidestream.quarantine q USING victim v WHERE q.quarantine_id = v.quarantine_id"
        "   RETURNING q.*, COALESCE((SELECT p ->> 1 FROM jsonb_array_elements(q.properties) p"
        "     WHERE p ->> 0 = 'epoch' AND q.reason <> ALL (%(not_taken)s) LIMIT 1), '') AS epoch)"
        " INSERT INTO sidestream.quarantine AS q (device, reason, hash, detail, topic, properties, raw, raw_bytes,"
        "   first_at, last_at, count, readings, counted_only)"
        " SELECT device, reason, %(counted)s || ' ' || epoch, %(detail)s, max(topic),"
        "   CASE epoch WHEN '' THEN '[]'::jsonb ELSE jsonb_build_array(jsonb_build_array('epoch', epoch)) END, '', 0,"
        "   min(first_at), max(last_at), sum(count), sum(readings), true FROM gone GROUP BY device, reason, epoch"
        " ON CONFLICT (device, reason, hash) WHERE state = 'open' DO UPDATE SET count = q.count + excluded.count,"
        " readings = q.readings + excluded.readings, first_at = LEAST(q.first_at, excluded.first_at),"
        " last_at = GREATEST(q.last_at, excluded.last_at)",
        {
            "device": device,
            "reason": reason,
            "kept": KEPT,
            "bytes": KEPT_BYTES,
            "counted": COUNTED,
            "not_taken": list(NOT_TAKEN),
            "detail": _COUNTED_DETAIL,
        },
    )


def _merge_counts(connection: psycopg.Connection, device: str, reason: str) -> None:
    """A gateway that restarts for ever, each time with something bad, has no more entries than one that does not."""
    connection.execute(
        "WITH surplus AS (SELECT quarantine_id FROM sidestream.quarantine WHERE device = %(device)s AND reason = %(reason)s"
        "   AND state = 'open' AND counted_only AND hash <> %(earlier)s"
        "   ORDER BY last_at DESC, quarantine_id DESC OFFSET %(kept)s),"
        " gone AS (DELETE FROM sidestream.quarantine q USING surplus s WHERE q.quarantine_id = s.quarantine_id RETURNING q.*)"
        " INSERT INTO sidestream.quarantine AS q (device, reason, hash, detail, topic, properties, raw, raw_bytes,"
        "   first_at, last_at, count, readings, counted_only)"
        " SELECT device, reason, %(earlier)s, %(detail)s, max(topic), '[]', '', 0,"
        "   min(first_at), max(last_at), sum(count), sum(readings), true FROM gone GROUP BY device, reason"
        " ON CONFLICT (device, reason, hash) WHERE state = 'open' DO UPDATE SET count = q.count + excluded.count,"
        " readings = q.readings + excluded.readings, first_at = LEAST(q.first_at, excluded.first_at),"
        " last_at = GREATEST(q.last_at, excluded.last_at)",
        {"device": device, "reason": reason, "kept": KEPT, "earlier": _EARLIER, "detail": _EARLIER_DETAIL},
    )

"""Quarantine: what could not be used is kept with its bytes, a machine-readable reason and a sentence; nothing vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from sidestream_contracts.frame import payload_hash

KEPT_RAW = 100
"""Messages kept raw for each device and reason; further ones are counted in one row, which keeps the newest."""


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
        """A quarantine entry for this message, or for a `part` of it that concerns one sensor."""
        raw = self.raw if part is None else part
        return Quarantined(self, reason, storable(detail), raw, payload_hash(raw), readings, sensor)


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


def insert_quarantine(connection: psycopg.Connection, items: Sequence[Quarantined]) -> None:
    """Each item is kept or, if the same came before, counted; past KEPT_RAW of a device and reason it is only counted."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sidestream.quarantine AS q"
            " (device, reason, hash, detail, sensor, topic, properties, raw, first_at, last_at, count, readings)"
            " SELECT %(device)s, %(reason)s, CASE WHEN NOT EXISTS (SELECT FROM sidestream.quarantine"
            "   WHERE device = %(device)s AND reason = %(reason)s AND hash = %(hash)s)"
            "   AND (SELECT count(*) FROM sidestream.quarantine"
            "   WHERE device = %(device)s AND reason = %(reason)s) >= %(kept)s THEN 'further' ELSE %(hash)s END,"
            " %(detail)s, %(sensor)s, %(topic)s, %(properties)s, %(raw)s, %(at)s, %(at)s, 1, %(readings)s"
            " ON CONFLICT (device, reason, hash) DO UPDATE SET count = q.count + 1,"
            " readings = q.readings + excluded.readings, last_at = GREATEST(q.last_at, excluded.last_at),"
            " raw = excluded.raw, detail = excluded.detail, sensor = excluded.sensor, topic = excluded.topic,"
            " properties = excluded.properties",
            [
                {
                    "device": item.message.device,
                    "reason": item.reason,
                    "kept": KEPT_RAW,
                    "hash": item.hash,
                    "detail": item.detail,
                    "sensor": item.sensor,
                    "topic": item.message.topic,
                    "properties": Jsonb(item.message.properties),
                    "raw": item.raw,
                    "at": item.message.received_at,
                    "readings": item.readings,
                }
                for item in sorted(items, key=lambda i: (i.message.device, i.reason, i.hash))
            ],
        )

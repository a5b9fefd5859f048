"""What a chaos run does to a database of its own, and how it asks what became of its bad messages. Never used in production."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from sidestream_store.connect import open_connection, transient_errors

_RULE = "chaos_refuses_this_value"


def refuse_value(dsn: str, value: float) -> None:
    """The database refuses every live reading of exactly this value from now on, though all checks let it pass.

    A CHECK constraint, because it is the one thing that ingest allows on the telemetry tables and that can refuse a row.
    """
    with open_connection(dsn, "chaos", autocommit=True) as connection, transient_errors("add the rule"):
        connection.execute(
            sql.SQL("ALTER TABLE sidestream.reading ADD CONSTRAINT {} CHECK (value IS DISTINCT FROM {})").format(
                sql.Identifier(_RULE), sql.Literal(value)
            )
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry of the quarantine; `hash` is the SHA-256 of the message's bytes, empty where they are not kept."""

    device: str
    reason: str
    hash: str
    sensor: str | None
    detail: str
    count: int


def kept(dsn: str) -> list[Kept]:
    """Everything in quarantine, oldest first."""
    with open_connection(dsn, "chaos") as connection, transient_errors("read the quarantine"):
        rows = connection.execute(
            "SELECT device, reason, CASE WHEN counted_only THEN '' ELSE encode(sha256(raw), 'hex') END, sensor, detail, count"
            " FROM sidestream.quarantine ORDER BY quarantine_id"
        ).fetchall()
    return [Kept(*row) for row in rows]

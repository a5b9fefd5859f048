"""What must hold of the database before ingest may write to it."""

from __future__ import annotations

import psycopg

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.connect import transient_errors

_ON_READING = """
WITH t AS (SELECT unnest(ARRAY['sidestream.reading', 'sidestream.reading_recorded', 'sidestream.scan'])::regclass AS oid)
SELECT 'unique index ' || i.indexrelid::regclass FROM pg_index i JOIN t ON i.indrelid = t.oid WHERE i.indisunique
UNION ALL
SELECT 'foreign key ' || c.conname FROM pg_constraint c JOIN t ON c.conrelid = t.oid WHERE c.contype = 'f'
UNION ALL
SELECT 'trigger ' || g.tgname FROM pg_trigger g JOIN t ON g.tgrelid = t.oid
WHERE NOT g.tgisinternal AND g.tgname <> 'ts_insert_blocker'
"""


def check_writable(connection: psycopg.Connection) -> None:
    """ConfigurationError unless the schema is there, a hub is applied and nothing hangs on the telemetry tables.

    A unique index, foreign key or trigger on them would refuse or change rows behind the ledger's back.
    """
    with transient_errors("check the database"):
        row = connection.execute("SELECT to_regclass('sidestream.hub') IS NOT NULL").fetchone()
        if not row or not row[0]:
            raise ConfigurationError("The database has no Sidestream schema; run `sidestream db migrate` first.")
        row = connection.execute("SELECT to_regclass('sidestream.worker') IS NOT NULL").fetchone()
        if not row or not row[0]:
            raise ConfigurationError(
                "The database's schema is older than this version of Sidestream; run `sidestream db migrate` first."
            )
        if connection.execute("SELECT 1 FROM sidestream.hub").fetchone() is None:
            raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
        found = [str(row[0]) for row in connection.execute(_ON_READING).fetchall()]
    if found:
        raise ConfigurationError(
            f"Telemetry tables must carry no {', '.join(found)}: the ledger alone prevents doubles."
        )

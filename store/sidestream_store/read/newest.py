"""The newest row of each sensor of a device, for whoever asks whether it arrives; by the viewer's views."""

from __future__ import annotations

from datetime import datetime

import psycopg

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.connect import transient_errors

Newest = tuple[datetime, float | None, str | None, str, datetime]
"""Time of measurement, value, code, unit, time of reception."""


def newest_rows(dsn: str, party: str, device: str) -> dict[str, Newest]:
    """By sensor id; sensors without a row are left out. TransientError when the database is away."""
    try:
        with (
            transient_errors("read the newest rows"),
            psycopg.connect(
                dsn, connect_timeout=5, options="-c timezone=UTC -c default_transaction_read_only=on"
            ) as connection,
        ):
            rows = connection.execute(
                "SELECT sensor, time, raw_value, code, unit, received_at FROM sidestream_v.latest"
                " WHERE party = %s AND device = %s AND time IS NOT NULL",
                [party, device],
            ).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise ConfigurationError("This database has no Sidestream schema; see --dsn.") from error
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in rows}

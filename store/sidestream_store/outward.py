"""What the hub gives out again: the twin's newest figures, and which parties may have each. Reads views only.

Until disclosure rules say more, a figure goes to those whom it is about: the parties at either end of a live stream, or
the owner of a node. What one side's own meter says goes to that side alone. What a balance makes of a flow goes to nobody:
others' meters went into it, and could be told from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.connect import Connection, transient_errors


@dataclass(frozen=True, slots=True)
class Figure:
    """The newest value of one quantity of a stream or node in SI, and who may have it."""

    kind: str
    subject: str
    quantity: str
    value: float | None
    sd: float | None
    sd_random: float | None
    sd_systematic: float | None
    time: datetime
    step_s: int
    origin: str
    completeness: float
    stale: bool
    computed_at: datetime
    flags: tuple[str, ...]
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outward:
    """Everything that the hub gives out now."""

    hub: str
    config_version: int
    synthetic: bool
    figures: tuple[Figure, ...]


def readers(quantity: str, supplier: str | None, receiver: str | None) -> tuple[str, ...]:
    """The parties that may have a figure, sorted; a node's owner counts as its supplier."""
    if quantity.endswith("_reconciled") or "_imbalance" in quantity:
        allowed: set[str | None] = set()
    elif quantity.endswith("_receiver"):
        allowed = {receiver}
    elif quantity.startswith("register_"):
        allowed = {supplier}
    else:
        allowed = {supplier, receiver}
    return tuple(sorted(party for party in allowed if party))


def outward_figures(connection: Connection) -> Outward:
    """What is to be given out now; ConfigurationError while no hub is applied."""
    with transient_errors("read the twin's figures"), connection.transaction():
        hub = connection.execute("SELECT id, version_id, synthetic FROM sidestream_v.hub").fetchone()
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_FIGURES).fetchall()
    if hub is None:
        raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
    figures = (_figure(row) for row in rows)
    return Outward(hub[0], hub[1], hub[2], tuple(figure for figure in figures if figure.parties))


def _figure(row: dict[str, Any]) -> Figure:
    supplier, receiver = row.pop("supplier"), row.pop("receiver")
    row["flags"] = tuple(row["flags"])
    return Figure(**row, parties=readers(row["quantity"], supplier, receiver))


_FIGURES = """
SELECT w.supplier, w.receiver, t.flags, t.subject_kind AS kind, t.subject, t.quantity, t.value, t.sd, t.sd_random,
       t.sd_systematic, t.time, t.step_s, t.origin, t.completeness, t.stale, t.computed_at
FROM sidestream_v.twin_latest t
JOIN (
    SELECT 'stream' AS kind, id, source_party AS supplier, target_party AS receiver
    FROM sidestream_v.stream WHERE state = 'live'
    UNION ALL
    SELECT 'node', id, party, NULL FROM sidestream_v.node
) w ON w.kind = t.subject_kind AND w.id = t.subject
ORDER BY t.subject_kind, t.subject, t.quantity
"""

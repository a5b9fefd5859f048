"""What balances told of one interval: as a whole, part by part, node by node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from sidestream_store.connect import Connection, transient_errors


@dataclass(frozen=True, slots=True)
class BalanceState:
    """A balance over one interval; `test` is χ² with `redundancy` degrees of freedom, None where nothing is checked."""

    balance: str
    time: datetime
    step_s: int
    redundancy: int
    test: float | None
    p_value: float | None
    closes: bool | None


@dataclass(frozen=True, slots=True)
class PartState:
    """One flow, loss or change of stock, SI as a mean over the interval: what its meter says, what the balance makes of it.

    `least_bias`: the smallest lasting error of its meter that is found in 9 of 10 cases. `missing`: why nothing is measured.
    `alike`: [kind, subject, quantity] of what no test can tell from it.
    """

    balance: str
    subject_kind: str
    subject: str
    name: str
    quantity: str
    time: datetime
    step_s: int
    measured: float | None
    sd_measured: float | None
    sd_random: float | None
    sd_systematic: float | None
    origin: str | None
    completeness: float
    missing: str | None
    reconciled: float | None
    sd: float | None
    knowledge: str
    adjustability: float | None
    detectability: float | None
    least_bias: float | None
    test: float | None
    at_fault: bool
    suspect: bool
    bias: float | None
    bias_sd: float | None
    power: float | None
    alike: list[list[str]]
    inputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a place misses by measurement alone; None where not all of it is known, see `not_known`."""

    balance: str
    subject_kind: str
    node: str
    name: str
    time: datetime
    step_s: int
    imbalance: float | None
    sd: float | None
    sd_random: float | None
    sd_systematic: float | None
    closes: bool | None
    not_known: list[str]


@dataclass(frozen=True, slots=True)
class Interval:
    """Everything that was told of one interval."""

    balances: tuple[BalanceState, ...]
    parts: tuple[PartState, ...]
    nodes: tuple[NodeState, ...]


def interval_at(connection: Connection, at: datetime | None = None) -> Interval | None:
    """The interval that holds `at`, or the newest one; None where no balance was closed over it."""
    with transient_errors("read the balances"):
        row = connection.execute(
            "SELECT max(time) FROM sidestream_v.balance"
            " WHERE %(at)s::timestamptz IS NULL OR (time <= %(at)s AND time + make_interval(secs => step_s) > %(at)s)",
            {"at": at},
        ).fetchone()
        if row is None or row[0] is None:
            return None
        with connection.cursor(row_factory=class_row(BalanceState)) as cursor:
            balances = cursor.execute(
                "SELECT * FROM sidestream_v.balance WHERE time = %s ORDER BY balance", [row[0]]
            ).fetchall()
        with connection.cursor(row_factory=class_row(PartState)) as parts_cursor:
            parts = parts_cursor.execute(
                "SELECT * FROM sidestream_v.balance_part WHERE time = %s ORDER BY balance, subject_kind DESC, subject, quantity",
                [row[0]],
            ).fetchall()
        with connection.cursor(row_factory=class_row(NodeState)) as nodes_cursor:
            nodes = nodes_cursor.execute(
                "SELECT * FROM sidestream_v.balance_node WHERE time = %s ORDER BY balance, subject_kind, node", [row[0]]
            ).fetchall()
    return Interval(tuple(balances), tuple(parts), tuple(nodes))

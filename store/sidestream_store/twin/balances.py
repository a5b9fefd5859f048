"""What balances are computed from, per interval, and what they tell: which intervals are due, sums, results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from sidestream_store.connect import Connection
from sidestream_store.twin.dirty import step_start
from sidestream_store.twin.stocks import Seen
from sidestream_store.twin.values import TRUST, Subject, kept


@dataclass(frozen=True, slots=True)
class FlowSum:
    """A figure over an interval: Σ value·s, Σ (sd_random·s)², Σ sd_systematic·s over the steps that have a value.

    `seen_s` of its seconds were seen; `origin` is the least trusted of the steps.
    """

    total: float
    variance_random: float
    sd_systematic: float
    valued_s: float
    seen_s: float
    origin: str
    n: int


@dataclass(frozen=True, slots=True)
class LotSum:
    """Lots that were first read at a node in an interval: how many, their nominal mass, kg, and its variance."""

    lots: int
    mass_kg: float
    variance_kg2: float


@dataclass(frozen=True, slots=True)
class PartRow:
    """What a balance tells of one part in one interval; the fields are those of the table `balance_part`."""

    subject: Subject
    interval: int
    measured: float | None
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
    alike: Sequence[Subject]
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What a node, or the two ends of a stream, miss in one interval."""

    subject: Subject
    interval: int
    imbalance: float | None
    sd_random: float | None
    sd_systematic: float | None
    closes: bool | None
    not_known: Sequence[str]


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """How a balance stands as a whole in one interval."""

    balance: str
    interval: int
    redundancy: int
    test: float | None
    p_value: float | None
    closes: bool | None
    parts: Sequence[PartRow]
    nodes: Sequence[NodeRow]


def add_due(connection: Connection, intervals: Iterable[int], balance_s: int) -> None:
    """These intervals are to be computed once they have ended."""
    connection.execute(
        "INSERT INTO sidestream.balance_due SELECT unnest(%s::timestamptz[]) ON CONFLICT DO NOTHING",
        [[step_start(n, balance_s) for n in sorted(set(intervals))]],
    )


def claim_due(connection: Connection, horizon: int, balance_s: int, limit: int) -> list[int]:
    """Intervals before `horizon` that are due, ascending, `limit` at most: the newest, and for the rest the oldest."""
    rows = connection.execute(
        "WITH ended AS MATERIALIZED (SELECT time FROM sidestream.balance_due WHERE time < %(until)s),"
        " picked AS (SELECT time FROM (SELECT time FROM ended ORDER BY time DESC LIMIT %(newest)s) a"
        "   UNION SELECT time FROM (SELECT time FROM ended ORDER BY time LIMIT %(oldest)s) b),"
        " gone AS (DELETE FROM sidestream.balance_due d USING picked p WHERE d.time = p.time RETURNING d.time)"
        " SELECT floor(extract(epoch FROM time) / %(length)s)::bigint FROM gone ORDER BY 1",
        {
            "until": step_start(horizon, balance_s),
            "newest": limit - limit // 2,
            "oldest": limit // 2,
            "length": balance_s,
        },
    ).fetchall()
    return [row[0] for row in rows]


def is_due(connection: Connection, horizon: int, balance_s: int) -> bool:
    """Whether an interval before `horizon` is due."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM sidestream.balance_due WHERE time < %s)", [step_start(horizon, balance_s)]
    ).fetchone()
    return bool(row and row[0])


def knows_rules(connection: Connection) -> bool:
    """Whether balances were ever told which rules they follow; not so since an upgrade from before there were any."""
    row = connection.execute("SELECT balance_rules IS NOT NULL FROM sidestream.twin_mark").fetchone()
    return bool(row and row[0])


def turn_to_rules(connection: Connection, rules: str, balance_s: int) -> None:
    """Balances follow these rules from now on; where others did before, every interval with figures is due."""
    row = connection.execute("SELECT balance_rules FROM sidestream.twin_mark").fetchone()
    if row is None or row[0] == rules:
        return
    connection.execute("UPDATE sidestream.twin_mark SET balance_rules = %s", [rules])
    for table in ("balance", "balance_part", "balance_node", "balance_due"):
        connection.execute(sql.SQL("DELETE FROM sidestream.{}").format(sql.Identifier(table)))
    connection.execute(
        "INSERT INTO sidestream.balance_due"
        " SELECT DISTINCT to_timestamp(floor(extract(epoch FROM part) / %(length)s) * %(length)s) FROM ("
        "   SELECT bucket AS hour FROM sidestream.twin_sum_1h"
        "   UNION SELECT date_trunc('hour', time, 'UTC') FROM sidestream.stock_observation"
        "   UNION SELECT date_trunc('hour', from_at, 'UTC') FROM sidestream.lot_stay) h,"
        " generate_series(hour, hour + interval '1 hour' - interval '1 us', make_interval(secs => LEAST(%(length)s, 60)))"
        "   AS part ON CONFLICT DO NOTHING",
        {"length": balance_s},
    )


def load_sums(
    connection: Connection, subjects: Sequence[Subject], first: int, stop: int, balance_s: int
) -> dict[tuple[int, Subject], FlowSum]:
    """The figures of these subjects over each of the intervals `first` to before `stop` in which they have a value."""
    rows = connection.execute(
        "SELECT floor(extract(epoch FROM v.time) / %(length)s)::bigint AS interval, v.subject_kind, v.subject, v.quantity,"
        " sum(v.value * v.step_s ORDER BY v.time), sum((v.sd_random * v.step_s) ^ 2 ORDER BY v.time),"
        " sum(v.sd_systematic * v.step_s ORDER BY v.time), sum(v.step_s),"
        " sum(v.completeness * v.step_s ORDER BY v.time), (%(trust)s::text[])[max(array_position(%(trust)s::text[], v.origin))],"
        " sum(v.n)::bigint"
        " FROM unnest(%(kinds)s::text[], %(subjects)s::text[], %(quantities)s::text[]) AS w (kind, subject, quantity)"
        " JOIN sidestream_v.twin_value v ON v.subject_kind = w.kind AND v.subject = w.subject AND v.quantity = w.quantity"
        "   AND v.time >= %(from)s AND v.time < %(to)s AND v.value IS NOT NULL"
        " GROUP BY 1, 2, 3, 4",
        {
            "length": balance_s,
            "trust": list(TRUST),
            "kinds": [s.kind for s in subjects],
            "subjects": [s.id for s in subjects],
            "quantities": [s.quantity for s in subjects],
            "from": step_start(first, balance_s),
            "to": step_start(stop, balance_s),
        },
    ).fetchall()
    return {(row[0], Subject(*row[1:4])): FlowSum(*row[4:]) for row in rows}


def load_bounds(
    connection: Connection, nodes: Sequence[str], bounds: Sequence[int], balance_s: int, step_s: int
) -> dict[tuple[int, str, str], Seen]:
    """What each sensor of these nodes showed at the very start of these intervals, by interval, node and sensor."""
    rows = connection.execute(
        "SELECT floor((extract(epoch FROM time) + %(step)s) / %(length)s)::bigint, node, sensor, mass_kg, sd_random,"
        " sd_systematic FROM sidestream_v.stock_observation WHERE node = ANY (%(nodes)s) AND time = ANY (%(times)s)",
        {
            "step": step_s,
            "length": balance_s,
            "nodes": list(nodes),
            "times": [step_start(n * (balance_s // step_s) - 1, step_s) for n in bounds],
        },
    ).fetchall()
    return {(n, node, sensor): Seen(n, sensor, *figures) for n, node, sensor, *figures in rows}


def load_lots(
    connection: Connection, places: Sequence[tuple[str, str]], first: int, stop: int, balance_s: int
) -> dict[tuple[int, str, str], LotSum]:
    """Lots of these (node, material) by the interval in which they were first read there; where none was, nothing."""
    rows = connection.execute(
        "SELECT floor(extract(epoch FROM s.from_at) / %(length)s)::bigint, q.node, q.material, count(*),"
        " sum(t.mass_kg), sum(t.sd_kg ^ 2) FROM unnest(%(nodes)s::text[], %(materials)s::text[]) AS q (node, material)"
        " JOIN sidestream_v.lot_stay s ON s.place = q.node AND s.from_at >= %(from)s AND s.from_at < %(to)s"
        " JOIN sidestream_v.lot l ON l.code = s.code JOIN sidestream_v.lot_type t ON t.id = l.lot_type AND t.material = q.material"
        " WHERE NOT EXISTS (SELECT FROM sidestream_v.lot_stay b WHERE b.code = s.code AND b.place = s.place"
        "   AND b.from_at < s.from_at) GROUP BY 1, 2, 3",
        {
            "length": balance_s,
            "nodes": [node for node, _ in places],
            "materials": [material for _, material in places],
            "from": step_start(first, balance_s),
            "to": step_start(stop, balance_s),
        },
    ).fetchall()
    return {(row[0], row[1], row[2]): LotSum(*row[3:]) for row in rows}


def computed_of(connection: Connection, intervals: Iterable[int], balance_s: int) -> list[int]:
    """Those of these intervals that have been computed, in order."""
    rows = connection.execute(
        "SELECT DISTINCT floor(extract(epoch FROM time) / %s)::bigint FROM sidestream.balance WHERE time = ANY (%s)",
        [balance_s, [step_start(n, balance_s) for n in sorted(intervals)]],
    ).fetchall()
    return sorted(row[0] for row in rows)


_PART_COLUMNS = (
    "balance", "subject_kind", "subject", "quantity", "time", "step_s", "measured", "sd_random", "sd_systematic", "origin",
    "completeness", "missing", "reconciled", "sd", "knowledge", "adjustability", "detectability", "least_bias", "test",
    "at_fault", "suspect", "bias", "bias_sd", "power", "alike", "inputs",
)  # fmt: skip
_NODE_COLUMNS = (
    "balance", "subject_kind", "node", "time", "step_s", "imbalance", "sd_random", "sd_systematic", "closes", "not_known",
)  # fmt: skip
_BALANCE_COLUMNS = ("balance", "time", "step_s", "redundancy", "test", "p_value", "closes")


def save_balances(
    connection: Connection, intervals: Sequence[int], found: Sequence[BalanceRow], balance_s: int
) -> None:
    """The tables tell exactly `found` of these intervals."""
    for table in ("balance", "balance_part", "balance_node"):
        connection.execute(
            sql.SQL("DELETE FROM sidestream.{} WHERE time = ANY (%s)").format(sql.Identifier(table)),
            [[step_start(n, balance_s) for n in intervals]],
        )
    rows = [
        (b.balance, step_start(b.interval, balance_s), balance_s, b.redundancy, b.test, b.p_value, b.closes)
        for b in found
    ]
    _copy(connection, "balance", _BALANCE_COLUMNS, rows)
    _copy(connection, "balance_part", _PART_COLUMNS, (_part(b.balance, p, balance_s) for b in found for p in b.parts))
    _copy(connection, "balance_node", _NODE_COLUMNS, (_node(b.balance, n, balance_s) for b in found for n in b.nodes))


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    statement = sql.SQL("COPY sidestream.{} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _part(balance: str, p: PartRow, balance_s: int) -> tuple[Any, ...]:
    return (
        balance, p.subject.kind, p.subject.id, p.subject.quantity, step_start(p.interval, balance_s), balance_s,
        kept(p.measured), kept(p.sd_random), kept(p.sd_systematic), p.origin, p.completeness, p.missing, kept(p.reconciled),
        kept(p.sd), p.knowledge, p.adjustability, p.detectability, kept(p.least_bias), kept(p.test), p.at_fault, p.suspect,
        kept(p.bias), kept(p.bias_sd), p.power,
        json.dumps([(s.kind, s.id, s.quantity) for s in p.alike]), json.dumps(p.inputs, sort_keys=True),
    )  # fmt: skip


def _node(balance: str, n: NodeRow, balance_s: int) -> tuple[Any, ...]:
    return (
        balance, n.subject.kind, n.subject.id, step_start(n.interval, balance_s), balance_s, kept(n.imbalance),
        kept(n.sd_random), kept(n.sd_systematic), n.closes, json.dumps(list(n.not_known)),
    )  # fmt: skip


def load_suspects(connection: Connection, balance: str, interval: int, balance_s: int) -> frozenset[str]:
    """The parts whose meters are named in an interval."""
    rows = connection.execute(
        "SELECT subject_kind || '/' || subject || '/' || quantity FROM sidestream_v.balance_part"
        " WHERE balance = %s AND time = %s AND suspect",
        [balance, step_start(interval, balance_s)],
    ).fetchall()
    return frozenset(row[0] for row in rows)

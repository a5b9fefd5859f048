"""What a report on heat rests on: sums of energy flows per bucket, means of sensors, what receivers need. Views only.

Buckets begin at whole multiples of their width from midnight UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from sidestream_contracts.units import ZERO_CELSIUS_K
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.twin.values import TRUST

Level = Literal["quarter", "hour", "six_hours"]
WIDTH_S: Mapping[Level, int] = {"quarter": 900, "hour": 3600, "six_hours": 21_600}
"""Length of a bucket of each level; quarters are as long as the hub's steps where those are longer."""
_SUMS: Mapping[Level, str] = {"quarter": "twin_sum", "hour": "twin_sum_1h", "six_hours": "twin_sum_6h"}
_MEANS: Mapping[Level, str] = {"quarter": "rollup_1m", "hour": "rollup_1h", "six_hours": "rollup_1h"}


@dataclass(frozen=True, slots=True)
class EnergySum:
    """Energy of a stream in one bucket, J: known for `valued_s` seconds of it, `seen_s` of them really seen."""

    subject: str
    quantity: str
    bucket: datetime
    total: float
    variance_random: float
    sd_systematic: float
    seen_s: float
    valued_s: float
    origin: str


@dataclass(frozen=True, slots=True)
class SensorMean:
    """Mean of `n` readings of a sensor in one bucket, in the sensor's unit."""

    sensor: str
    bucket: datetime
    mean: float
    n: int


@dataclass(frozen=True, slots=True)
class Need:
    """What the receiver at a node can use of heat, SI; None: not said."""

    lowest_k: float | None
    dt_min_k: float
    discard_k: float | None
    demand_w: float | None


@dataclass(frozen=True, slots=True)
class HeatSide:
    """What hub.yaml says of heat beyond the graph: needs by node, nodes that throw heat away, names, whether made up."""

    synthetic: bool
    needs: Mapping[str, Need]
    dumping: frozenset[str]
    names: Mapping[tuple[str, str], str]
    """Names of streams and nodes: ("stream" or "node", id) → name."""


def heat_side(connection: Connection, version: int) -> HeatSide:
    """What a version of the hub says of heat."""
    with transient_errors("read what the hub says of heat"):
        hub = connection.execute(
            "SELECT h.synthetic, v.content -> 'nodes', v.content -> 'streams' FROM sidestream_v.hub h"
            " JOIN sidestream_v.hub_version v ON v.version_id = %s",
            [version],
        ).fetchone()
    synthetic, nodes, streams = hub or (False, [], [])
    told = [(node["id"], node.get("heat_need")) for node in nodes]
    return HeatSide(
        bool(synthetic),
        {name: _need(need) for name, need in told if need},
        frozenset(node["id"] for node in nodes if node.get("dumps_heat")),
        {(kind, item["id"]): item["name"] for kind, items in (("node", nodes), ("stream", streams)) for item in items},
    )


def _need(said: Mapping[str, float | None]) -> Need:
    lowest, discard, demand = said.get("lowest_c"), said.get("discard_c"), said.get("demand_kw")
    return Need(
        None if lowest is None else lowest + ZERO_CELSIUS_K,
        said.get("dt_min_k") or 0.0,
        None if discard is None else discard + ZERO_CELSIUS_K,
        None if demand is None else demand * 1000.0,
    )


def energy_sums(
    connection: Connection, level: Level, quantities: Sequence[str], from_at: datetime, to_at: datetime
) -> list[EnergySum]:
    """Sums of these quantities of every stream in the buckets that begin in [from_at, to_at)."""
    query = sql.SQL(
        "SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s,"
        " (%(trust)s::text[])[origin_rank] AS origin FROM sidestream_v.{}"
        " WHERE quantity = ANY (%(quantities)s) AND bucket >= %(from)s AND bucket < %(to)s AND valued_s > 0"
        " ORDER BY subject, quantity, bucket"
    ).format(sql.Identifier(_SUMS[level]))
    asked = {"trust": list(TRUST), "quantities": list(quantities), "from": from_at, "to": to_at}
    with transient_errors("read sums of heat"), connection.cursor(row_factory=class_row(EnergySum)) as cursor:
        return cursor.execute(query, asked).fetchall()


def sensor_means(
    connection: Connection, level: Level, sensors: Sequence[str], from_at: datetime, to_at: datetime
) -> list[SensorMean]:
    """Means of these sensors over the buckets, from the roll-ups; a bucket without a reading that counts has no row."""
    query = sql.SQL(
        "SELECT sensor, date_bin(make_interval(secs => %(width)s), r.bucket, timestamptz 'epoch') AS bucket,"
        " sum(mean * n ORDER BY r.bucket) / sum(n) AS mean, sum(n)::bigint AS n FROM sidestream_v.{} r"
        " WHERE sensor = ANY (%(sensors)s) AND r.bucket >= %(from)s AND r.bucket < %(to)s AND n > 0 AND mean IS NOT NULL"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    ).format(sql.Identifier(_MEANS[level]))
    asked = {"width": WIDTH_S[level], "sensors": list(sensors), "from": from_at, "to": to_at}
    with transient_errors("read means of sensors"), connection.cursor(row_factory=class_row(SensorMean)) as cursor:
        return cursor.execute(query, asked).fetchall()


def paired_totals(
    connection: Connection, level: Level, from_at: datetime, to_at: datetime
) -> Iterator[tuple[tuple[str, str], float]]:
    """Energy of each (stream, quantity) in the steps in which its register or, of a register, the twin has a figure too."""
    with transient_errors("read heat beside registers"):
        rows = connection.execute(
            "SELECT subject, quantity, sum(paired_total ORDER BY bucket) FROM sidestream_v.twin_sum_pair"
            " WHERE level = %s AND bucket >= %s AND bucket < %s AND paired_total <> 0 GROUP BY 1, 2 ORDER BY 1, 2",
            [level, from_at, to_at],
        ).fetchall()
    return (((subject, quantity), total) for subject, quantity, total in rows)

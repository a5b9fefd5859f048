"""A hub's database for tests of the twin: bring readings and scans in as frames, read back what the twin made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from frames import GATEWAY, key_of, readings_body
from hub_files import TEST_HUB, test_hub

from sidestream_store.batch import CheckedFrame, Readings, Scan
from sidestream_store.catalogue import device_number
from sidestream_store.connect import open_connection
from sidestream_store.delivery import apply_frames
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range
from sidestream_store.quarantine import Message

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STEP_S = 10

EXACT = {"accuracy": {"limit_pct": 2, "random_pct": 0.5}}
SLAG_STREAMS = [
    {"id": "in", "name": "In", "source": "boiler", "target": "silo", "material": "slag",
     "lifecycle": [{"state": "live", "since": "2020-01-01"}]},
    {"id": "out", "name": "Out", "source": "silo", "target": "farm", "material": "slag",
     "lifecycle": [{"state": "live", "since": "2020-01-01"}]},
]  # fmt: skip
BELTS = [
    {"id": f"belt_{name}", "device": "gw", "name": name, "quantity": "mass_flow", "unit": "kg/s", "role": "mass_flow",
     "stream": name, "range": [0, 100], "period_s": 1, **EXACT}
    for name in ("in", "out")
]  # fmt: skip
STORES = [
    {"id": "store", "party": "a", "kind": "store", "name": "Bag store", "max_kg": 2500},
    {"id": "yard", "party": "b", "kind": "store", "name": "Yard", "material": "slag"},
]
GATES = [
    {"id": f"scan_{node}", "device": "gw", "name": node, "quantity": "scan", "role": "scan", "node": node}
    for node in ("store", "yard")
]
BAGS = {
    "id": "bags", "name": "Bags", "source": "store", "target": "yard", "material": "slag",
    "lifecycle": [{"state": "live", "since": "2020-01-01"}],
}  # fmt: skip
AGREEMENTS = [
    {"id": "heat-deal", "name": "Heat", "stream": "heat", "supplier": "a", "receiver": "b", "amount": 24, "unit": "MW.h",
     "period": "day", "tolerance_pct": 10, "valid_from": "2020-01-01"},
    {"id": "bag-deal", "name": "Bags", "stream": "bags", "supplier": "a", "receiver": "b", "amount": 10, "unit": "t",
     "period": "day", "tolerance_pct": 10, "valid_from": "2020-01-01"},
]  # fmt: skip

TABLES = {
    "twin_value": "SELECT subject_kind, subject, quantity, time, value, sd_random, sd_systematic, origin, completeness, n,"
    " inputs - 'hub_version', flags FROM sidestream.twin_value ORDER BY 1, 2, 3, 4",
    "twin_latest": "SELECT subject_kind, subject, quantity, time, value, sd_random, sd_systematic, origin, flags"
    " FROM sidestream.twin_latest ORDER BY 1, 2, 3",
    "twin_sum": "SELECT * FROM sidestream.twin_sum ORDER BY 1, 2, 3",
    "twin_sum_1h": "SELECT * FROM sidestream.twin_sum_1h ORDER BY 1, 2, 3",
    "twin_sum_6h": "SELECT * FROM sidestream.twin_sum_6h ORDER BY 1, 2, 3",
    "twin_sum_1d": "SELECT * FROM sidestream.twin_sum_1d ORDER BY 1, 2, 3",
    "balance": "SELECT * FROM sidestream.balance ORDER BY 1, 2",
    "balance_part": "SELECT * FROM sidestream.balance_part ORDER BY 1, 2, 3, 4, 5",
    "balance_node": "SELECT * FROM sidestream.balance_node ORDER BY 1, 2, 3, 4",
    "observation": "SELECT * FROM sidestream.stock_observation ORDER BY 1, 2, 3",
    "lot": "SELECT code, lot_type, place, since_at, last_seen_at, scans FROM sidestream.lot ORDER BY 1",
    "lot_stay": "SELECT code, from_at, to_at, left_at, place, scans FROM sidestream.lot_stay ORDER BY 1, 2",
    "agreement": "SELECT agreement, period_from, period_to, agreed, expected_so_far, delivered, sd_random, sd_systematic,"
    " origin, completeness, status, reason, reason_numbers FROM sidestream.agreement_status ORDER BY 1, 2",
    "rollup_1m": "SELECT sensor_id, bucket, n, bad, mean, low, high, first, last FROM sidestream.rollup_1m ORDER BY 1, 2",
    "rollup_1d": "SELECT sensor_id, bucket, n, low, high, first, last FROM sidestream.rollup_1d ORDER BY 1, 2",
}


def whole_hub(**changes: Any):
    """The test hub with a silo between two belts, bags between two stores, and agreements on heat and bags."""
    return test_hub(**({
        "hub": TEST_HUB["hub"] | {"balance_s": 60},
        "nodes": [*TEST_HUB["nodes"], *STORES],
        "streams": [*TEST_HUB["streams"], *SLAG_STREAMS, BAGS],
        "sensors": [s | EXACT if s["quantity"] != "scan" else s for s in TEST_HUB["sensors"]] + BELTS + GATES,
        "agreements": AGREEMENTS,
    } | changes))  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """What one frame brings: (sensor, seconds after noon, value or code)."""

    readings: tuple[tuple[str, float, float], ...] = ()
    scans: tuple[tuple[str, float, str], ...] = ()


@dataclass
class Lab:
    """A database with a hub, and ways in and out."""

    dsn: str
    folder: Path
    hub: Any = field(default_factory=whole_hub)
    recorded: bool = False

    def __post_init__(self) -> None:
        apply_hub(self.dsn, self.hub, self.folder)
        self.connection = open_connection(self.dsn, "test", autocommit=True)
        rows = self.connection.execute("SELECT id, sensor_id FROM sidestream.sensor").fetchall()
        self.sensors: dict[str, int] = dict(rows)
        self._seq = 0
        self.make_room(NOON - timedelta(days=70), NOON + timedelta(days=2))

    def make_room(self, from_at: datetime, to_at: datetime) -> None:
        ensure_range(self.connection, from_at, to_at)

    def bring(self, *batches: Batch) -> None:
        """Each batch is a frame committed on its own."""
        device = device_number(self.connection, GATEWAY.party, GATEWAY.device)
        for batch in batches:
            self._seq += 1
            payload = readings_body(("flow", self._seq, 1.0))
            message = Message(GATEWAY.topic("readings"), "h/a/gw", payload, NOON)
            frame = CheckedFrame(
                device,
                key_of(payload, self._seq),
                "readings",
                message,
                recorded=self.recorded,
                readings=Readings.of((us(at), self.sensors[s], v, 0) for s, at, v in batch.readings),
                scans=tuple(Scan(us(at), self.sensors[s], code, None, 0) for s, at, code in batch.scans),
            )
            apply_frames(self.connection, [frame])

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.connection.execute(query).fetchall() for name, query in TABLES.items()}

    def clear(self) -> None:
        tables = (
            "reading, reading_recorded, scan, latest, dirty, frame, frame_mark, twin_value, twin_latest, twin_sum, twin_sum_1h, twin_sum_6h, twin_sum_1d, lot,"
            " lot_stay, agreement_status, stock_observation, stock_checkpoint, rollup_1m, rollup_1h, rollup_1d, correction,"
            " manual_entry, meter_event, sensor_mark, balance, balance_part, balance_node, balance_due, twin_value_history, agreement_status_history, rollup_1m_history, rollup_1h_history,"
            " rollup_1d_history"
        )
        self.connection.execute("TRUNCATE " + ", ".join(f"sidestream.{t.strip()}" for t in tables.split(",")))
        self.connection.execute("UPDATE sidestream.sensor SET corrected = false, cuts = NULL")

    def values(self, subject: str, quantity: str) -> dict[float, tuple[float, str]]:
        """Seconds after noon → value and origin."""
        rows = self.connection.execute(
            "SELECT extract(epoch FROM time - %s)::float8, value, origin FROM sidestream.twin_value"
            " WHERE subject = %s AND quantity = %s ORDER BY 1",
            [NOON, subject, quantity],
        ).fetchall()
        return {at: (value, origin) for at, value, origin in rows}

    def one(self, query: str, *values: Any) -> tuple[Any, ...]:
        row = self.connection.execute(query, values).fetchone()
        assert row is not None
        return row


def us(at_s: float) -> int:
    """Seconds after noon as µs UTC."""
    return round((NOON.timestamp() + at_s) * 1e6)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def heat_readings(seconds: Iterable[float], flow: float = 10.0, supply: float = 80.0, returned: float = 40.0):
    """The heat meter's three readings at each of these seconds after noon."""
    return tuple(r for s in seconds for r in (("flow", s, flow), ("tin", s, supply), ("tout", s, returned)))


def silo_readings(seconds: Iterable[float], inflow: float, outflow: float):
    """Both belts at each of these seconds after noon."""
    return tuple(r for s in seconds for r in (("belt_in", s, inflow), ("belt_out", s, outflow)))


def kill_backend(dsn: str, application: str) -> int:
    """End every session of this application; how many there were."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        rows = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
            [application],
        ).fetchall()
    return len(rows)

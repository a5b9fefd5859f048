"""What the twin says now: exchanges, stocks, agreements, totals of the running day; each with uncertainty and origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from sidestream_store.read.pool import Pool, query, read_view
from sidestream_store.read.words import Flags, Inputs, Instant, Kg, Origin, Sd, Share, Stale


@dataclass(frozen=True, slots=True)
class TwinState:
    """The twin's newest value of one quantity of a stream or node, in SI."""

    subject_kind: Annotated[str, Field(description="stream or node")]
    subject: str
    quantity: Annotated[
        str,
        Field(description="heat_flow, mass_flow, power, stock_mass, …; register_…, …_receiver, …_reconciled of them"),
    ]
    unit: Annotated[str | None, Field(description="UCUM code of `value` and the standard deviations")]
    time: Annotated[Instant, Field(description="start of the step; a stock's value is that at the step's end")]
    step_s: Annotated[int, Field(description="length of the step, s")]
    value: float | None
    sd: Sd
    sd_random: Annotated[float | None, Field(description="the part of `sd` that averages out")]
    sd_systematic: Annotated[float | None, Field(description="the part of `sd` that does not")]
    origin: Origin
    completeness: Share
    stale: Stale
    flags: Flags
    inputs: Inputs
    computed_at: Instant


@dataclass(frozen=True, slots=True)
class Exchange:
    """A stream with one of its flows now; a stream that is not live has no flow, whatever a meter says."""

    stream: str
    name: str
    source: str
    target: str
    source_party: str | None
    target_party: str | None
    material: str
    phase: str | None
    state: Annotated[str, Field(description="idea, agreed, building, live, paused or ended; only live ones flow")]
    quantity: Annotated[str | None, Field(description="heat_flow, power or mass_flow; null: the twin knows none")]
    unit: Annotated[str | None, Field(description="UCUM code: W or kg/s")]
    time: Instant | None
    value: float | None
    sd: Sd
    origin: Origin | None
    completeness: Share | None
    stale: Stale
    flags: Flags


@dataclass(frozen=True, slots=True)
class Stock:
    """What lies in a stock or store now."""

    node: str
    name: str
    party: str
    party_name: str | None
    kind: str
    material: str | None
    min_kg: Kg
    max_kg: Kg
    time: Instant | None
    mass_kg: Kg
    sd_kg: Kg
    sd_random_kg: Kg
    sd_systematic_kg: Kg
    origin: Origin | None
    stale: Stale
    flags: Flags
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class AgreementStatus:
    """How an agreement stands in a calendar period; amounts in the agreement's unit."""

    agreement: str
    name: str
    stream: str
    supplier: str
    receiver: str
    unit: Annotated[str, Field(description="UCUM code of all amounts")]
    quantity: str
    period: str
    tolerance_pct: float
    period_from: Instant
    period_to: Instant
    agreed: float
    expected_so_far: Annotated[
        float, Field(description="what should be there by now: an even share of `agreed`, or as past periods went")
    ]
    delivered: Annotated[float | None, Field(description="null when not known")]
    sd: Sd
    origin: Origin
    completeness: Share
    status: Annotated[str, Field(description="on_track, at_risk, breached, paused, not_running or unknown")]
    reason: Annotated[str, Field(description="machine-readable reason of the status")]
    reason_numbers: Annotated[Any, Field(description="the numbers that led to it")]
    computed_at: Instant
    probability: Annotated[
        Share | None, Field(description="that the true amount lies within tolerance and leeway by now")
    ]
    stopped_s: Annotated[float | None, Field(description="seconds of the period that stand still as planned")]
    evidence: Annotated[Any, Field(description="sensors, stops, past periods, limits of quality that it rests on")]


@dataclass(frozen=True, slots=True)
class StockForecast:
    """When a stock reaches one of its limits, as foreseen at `issued_at`; a forecast, never a measurement."""

    node: str
    event: Annotated[str, Field(description="overflow or run_dry")]
    issued_at: Instant
    from_at: Annotated[Instant | None, Field(description="the stock's figure that it starts from")]
    horizon_at: Instant | None
    outcome: Annotated[str, Field(description="reached, expected, possible, not_within_horizon or unknown")]
    reason: Annotated[str | None, Field(description="why it is not known")]
    limit_kg: Kg
    mass_kg: Kg
    sd_kg: Kg
    net_flow_kg_s: Annotated[float | None, Field(description="mean net flow of the next hour, kg/s; in is positive")]
    net_flow_sd_kg_s: float | None
    probability: Annotated[float | None, Field(description="that the limit is reached within the horizon")]
    q05_at: Annotated[Instant | None, Field(description="90 % band, first end; null: beyond the horizon")]
    q25_at: Annotated[Instant | None, Field(description="50 % band, first end")]
    q50_at: Instant | None
    q75_at: Annotated[Instant | None, Field(description="50 % band, last end")]
    q95_at: Annotated[Instant | None, Field(description="90 % band, last end")]
    basis: Annotated[Any, Field(description="flows, stops and instruments that it rests on")]
    origin: Origin
    stale: Stale


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What a live stream carried since the hub's midnight: J of heat or power, kg of mass."""

    stream: str
    quantity: Annotated[str, Field(description="heat, power or mass")]
    unit: Annotated[str, Field(description="UCUM code: J or kg")]
    value: float | None
    sd: Sd
    completeness: Annotated[float, Field(description="share of the day so far for which the flow is known")]
    origins: Annotated[list[str], Field(description="every origin among the steps that were added up")]
    from_at: Instant
    to_at: Annotated[Instant | None, Field(description="end of the last step that was added up")]


async def twin_states(pool: Pool, kind: str | None = None, subject: str | None = None) -> list[TwinState]:
    """The twin's newest values, all or of one kind or subject, by subject and quantity."""
    return await query(
        pool,
        TwinState,
        """
        SELECT subject_kind, subject, quantity,
               CASE regexp_replace(quantity, '^register_|_receiver|_supplier|_reconciled|:.*$', '', 'g')
                   WHEN 'heat_flow' THEN 'W' WHEN 'power' THEN 'W' WHEN 'mass_flow' THEN 'kg/s' WHEN 'stock_mass' THEN 'kg'
                   WHEN 'lots_mass' THEN 'kg' WHEN 'lots_count' THEN '1' WHEN 'heat_loss' THEN 'W' WHEN 'heat_change' THEN 'W'
                   WHEN 'stock_change' THEN 'kg/s' WHEN 'energy_imbalance' THEN 'W' WHEN 'mass_imbalance' THEN 'kg/s' END AS unit,
               time, step_s, value, sd, sd_random, sd_systematic, origin, completeness, stale, flags, inputs, computed_at
        FROM sidestream_v.twin_latest
        WHERE (%(kind)s::text IS NULL OR subject_kind = %(kind)s) AND (%(subject)s::text IS NULL OR subject = %(subject)s)
        ORDER BY subject_kind, subject, quantity
        """,
        kind=kind,
        subject=subject,
    )


async def exchanges(pool: Pool) -> list[Exchange]:
    """Every stream once per flow that the twin knows of it, at least once, by stream and quantity.

    Not from the view `exchange`, which leaves electric power out.
    """
    return await query(
        pool,
        Exchange,
        """
        SELECT s.id AS stream, s.name, s.source, s.target, s.source_party, s.target_party, s.material, s.phase, s.state,
               t.quantity, CASE WHEN t.quantity = 'mass_flow' THEN 'kg/s' WHEN t.quantity IS NOT NULL THEN 'W' END AS unit,
               t.time, CASE WHEN s.state = 'live' THEN t.value END AS value, CASE WHEN s.state = 'live' THEN t.sd END AS sd,
               t.origin, t.completeness, t.stale, t.flags
        FROM sidestream_v.stream s
        LEFT JOIN sidestream_v.twin_latest t ON t.subject_kind = 'stream' AND t.subject = s.id
            AND t.quantity IN ('heat_flow', 'power', 'mass_flow')
        ORDER BY s.id, t.quantity
        """,
    )


async def stocks(pool: Pool) -> list[Stock]:
    """Every stock and store, by node."""
    return await read_view(pool, Stock, "stock", "ORDER BY node")


async def stock_forecasts(pool: Pool) -> list[StockForecast]:
    """The newest forecast of each limit of each stock, by node and event."""
    return await read_view(pool, StockForecast, "stock_forecast", "ORDER BY node, event")


async def agreements(pool: Pool) -> list[AgreementStatus]:
    """Each agreement in its newest period that has begun, by agreement."""
    return await read_view(
        pool,
        AgreementStatus,
        "agreement_status",
        """
        WHERE (agreement, period_from) IN (
            SELECT agreement, max(period_from) FROM sidestream_v.agreement_status
            WHERE period_from <= now() GROUP BY agreement)
        ORDER BY agreement
        """,
    )


async def day_totals(pool: Pool) -> list[DayTotal]:
    """Heat and mass of each live stream since the hub's midnight.

    Random deviations of the steps add in quadrature, systematic ones linearly, since one meter keeps its error all day.
    """
    return await query(
        pool,
        DayTotal,
        """
        WITH day AS (SELECT date_trunc('day', now(), timezone) AS from_at FROM sidestream_v.hub)
        SELECT t.subject AS stream, CASE t.quantity WHEN 'heat_flow' THEN 'heat' WHEN 'power' THEN 'power' ELSE 'mass' END AS quantity,
               CASE t.quantity WHEN 'mass_flow' THEN 'kg' ELSE 'J' END AS unit,
               sum(t.value * t.step_s) AS value,
               sqrt(sum((t.sd_random * t.step_s) ^ 2) + sum(t.sd_systematic * t.step_s) ^ 2) AS sd,
               LEAST(1, COALESCE(sum(t.step_s * t.completeness) FILTER (WHERE t.value IS NOT NULL), 0)
                   / GREATEST(extract(epoch FROM now() - day.from_at), 1))::float8 AS completeness,
               COALESCE(array_agg(DISTINCT t.origin) FILTER (WHERE t.value IS NOT NULL), '{}') AS origins,
               day.from_at, max(t.time + make_interval(secs => t.step_s)) AS to_at
        FROM day
        JOIN sidestream_v.stream s ON s.state = 'live'
        JOIN sidestream_v.twin_value t ON t.subject_kind = 'stream' AND t.subject = s.id
            AND t.quantity IN ('heat_flow', 'power', 'mass_flow') AND t.time >= day.from_at AND t.time < now()
        GROUP BY t.subject, t.quantity, day.from_at
        ORDER BY t.subject, t.quantity
        """,
    )

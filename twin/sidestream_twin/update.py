"""Brings the twin up to date with what changed: claim → load → core → save, in one transaction per pass.

A pass takes a bounded amount of what is dirty, so its length and memory are bounded however much has piled up. Whatever
ends it early, nothing of it stays, and the next pass does the same again. Any number of processes may run passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sidestream_store.connect import Connection
from sidestream_store.twin import dirty, sums, values
from sidestream_store.twin.agreements import forget_other_agreements
from sidestream_store.twin.balances import knows_rules
from sidestream_store.twin.forecasts import forget_other_forecasts
from sidestream_store.twin.hub import load_twin_hub
from sidestream_store.twin.passing import one_pass, session
from sidestream_store.twin.stocks import keep_observations_of
from sidestream_twin.agreement_pass import update_agreements
from sidestream_twin.balance_pass import adopt_rules, update_balances
from sidestream_twin.context import Pass
from sidestream_twin.finding_pass import update_findings
from sidestream_twin.forecast_pass import update_forecasts
from sidestream_twin.lot_pass import carry_forward, update_lots
from sidestream_twin.plan import plan_of
from sidestream_twin.sensing import period_s
from sidestream_twin.steps import Work, ended_before, share_out
from sidestream_twin.stock_pass import update_stocks
from sidestream_twin.stream_pass import update_streams


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one pass takes on.

    `rows` of the dirty table; `readings` to load, roughly; a step counts as ended `settle_s` after its end, so that the
    readings on their way into the database are there when it is first computed.
    """

    rows: int = 50_000
    readings: float = 1_000_000
    settle_s: float = 2.0


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What one pass, or several together, did. `more`: another pass has work to do already.

    `steps` counts figures saved, `findings` what was raised anew, `problems` are sentences on what could not be computed.
    """

    claimed: int = 0
    steps: int = 0
    lots: int = 0
    agreements: int = 0
    passes: int = 1
    seconds: float = 0.0
    more: bool = False
    findings: int = 0
    problems: tuple[str, ...] = field(default=())

    def __add__(self, after: UpdateReport) -> UpdateReport:
        return UpdateReport(
            self.claimed + after.claimed,
            self.steps + after.steps,
            self.lots + after.lots,
            self.agreements + after.agreements,
            self.passes + after.passes,
            self.seconds + after.seconds,
            after.more,
            self.findings + after.findings,
            tuple(dict.fromkeys((*self.problems, *after.problems))),
        )

    def __str__(self) -> str:
        done = (
            f"{self.claimed} changes taken, {self.steps} figures, {self.lots} lots and {self.agreements} agreements "
            f"computed in {self.seconds:.2f} s"
        )
        return "; ".join([done, *self.problems])

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def update(target: str | Connection, now_at: datetime | None = None, limits: Limits | None = None) -> UpdateReport:
    """One pass: what it reports is committed. `target` is an address, or a connection in autocommit mode.

    Raises TransientError when the database goes away (nothing changed, try again), ConfigurationError when no hub is
    applied.
    """
    began, now_at, limits = time.monotonic(), now_at or datetime.now(UTC), limits or Limits()
    with session(target) as connection, one_pass(connection):
        plan = plan_of(load_twin_hub(connection))
        now = Pass(connection, plan, now_at, ended_before(now_at, limits.settle_s, plan.hub.step_s))
        if values.turn_to_version(connection, plan.hub.version):
            _adopt(now)
        elif not knows_rules(connection):  # balances came with an upgrade; the hub is the same
            adopt_rules(now)
        claimed, work = _claim(now, limits)
        report = _compute(now, work)
    more = report.more or claimed == limits.rows or bool(work.postponed)
    return replace(report, claimed=claimed, seconds=time.monotonic() - began, more=more)


def update_until_clean(
    target: str | Connection,
    progress: Callable[[str], None] | None = None,
    now_at: datetime | None = None,
    limits: Limits | None = None,
) -> UpdateReport:
    """Passes until nothing is left that could be computed now; `progress` gets a line after each."""
    total: UpdateReport | None = None
    with session(target) as connection:
        while total is None or total.more:
            report = update(connection, now_at, limits)
            total = report if total is None else total + report
            if progress is not None:
                progress(f"pass {total.passes}: {report}")
    return total


def _adopt(now: Pass) -> None:
    """A new version of the hub: what it no longer has goes; what it still has is marked dirty by `hub apply`."""
    connection, plan = now.connection, now.plan
    values.keep_only(connection, plan.subjects, now.now_at)
    adopt_rules(now)
    keep_observations_of(connection, ((s.node.id, o.id) for s in plan.stocks for o in s.observers))
    forget_other_forecasts(connection, [stock.node.id for stock in plan.stocks])
    forget_other_agreements(connection, [agreement.id for agreement in plan.hub.agreements], now.now_at)


def _claim(now: Pass, limits: Limits) -> tuple[int, Work]:
    connection, step_s = now.connection, now.step_s
    claim = dirty.claim(connection, step_s, limits.rows)
    cost = {s.sensor_id: max(step_s / period_s(s), 1.0) for s in now.plan.hub.sensors}
    work = share_out(claim.changed, now.horizon, cost, limits.readings)
    dirty.put_back(connection, (*work.running, *work.postponed), step_s)
    measured = [part for part in (*work.now, *work.running) if part.sensor_id not in now.plan.scanners]
    dirty.refresh_rollups(connection, measured, step_s, now.now_at)
    return claim.rows, work


def _compute(now: Pass, work: Work) -> UpdateReport:
    streams = update_streams(now, work.now)
    stocks = update_stocks(now, streams)
    lots = update_lots(now, (*work.now, *work.running))
    balances = update_balances(now, streams, lots)
    computed = (*streams.computed, *stocks.computed, *lots.computed)
    sums.add_up(now.connection, streams.computed, now.step_s)
    values.refresh_latest(now.connection, {part.subject for part in (*computed, *balances.computed)})
    carry_forward(now)
    forecasts = update_forecasts(now)
    agreements = update_agreements(now, computed, lots, (*work.now, *work.running))
    problems = (*streams.problems, *stocks.problems, *forecasts.problems, *balances.problems)
    return UpdateReport(
        steps=sum(len(part.values) for part in (*computed, *balances.computed)),
        lots=lots.lots,
        agreements=agreements,
        findings=update_findings(now, computed, problems),
        more=not (stocks.finished and balances.finished and forecasts.finished),
        problems=problems,
    )

"""Closes every balance over each interval that ended and that something changed in, a bounded number of them at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidestream_store.twin import balances as store_balances
from sidestream_store.twin.values import Computed, StepValue, Subject, save_values
from sidestream_twin.balance_hearing import Hearing, live_streams
from sidestream_twin.balance_interval import Structures, judge, prepare
from sidestream_twin.balance_rules import Balance, digest
from sidestream_twin.balance_suspects import WINDOW, suspects_at
from sidestream_twin.balance_told import Told, told_of
from sidestream_twin.context import Pass
from sidestream_twin.core.errors import ModelError
from sidestream_twin.lot_pass import LotPass
from sidestream_twin.steps import Span, merged
from sidestream_twin.stream_pass import StreamPass

PARTS_PER_PASS = 20_000
"""Parts times intervals that one pass takes on."""
PARTS_EACH = 100
"""A balance costs at least as much as so many parts: a small one takes no less time to solve."""


@dataclass(frozen=True, slots=True)
class BalancePass:
    """What was computed, whether no interval that ended is left, and what could not be computed."""

    computed: tuple[Computed, ...]
    finished: bool
    problems: tuple[str, ...]


def adopt_rules(now: Pass) -> None:
    """Where the rules of the balances changed, every interval is due again."""
    store_balances.turn_to_rules(now.connection, digest(now.plan.balances, now.balance_s), now.balance_s)


def update_balances(now: Pass, streams: StreamPass, lots: LotPass) -> BalancePass:
    """Balances agree with the figures, stocks and lots saved so far in every interval that has ended."""
    if not now.plan.balances:
        return BalancePass((), True, ())
    connection, balance_s = now.connection, now.balance_s
    store_balances.add_due(connection, _touched(now, streams, lots), balance_s)
    ended = now.horizon * now.step_s // balance_s
    due = store_balances.claim_due(connection, ended, balance_s, intervals_per_pass(now.plan.balances))
    if not due:
        return BalancePass((), True, ())
    told, intervals, problems = _judge(now, due)
    store_balances.save_balances(connection, intervals, [each.row for _, each in told], balance_s)
    computed = _figures(now, intervals, told)
    save_values(connection, computed, balance_s, now.now_at)
    return BalancePass(tuple(computed), not store_balances.is_due(connection, ended, balance_s), tuple(problems))


def intervals_per_pass(balances: Sequence[Balance]) -> int:
    """How many intervals a pass takes on, so that it lasts seconds however many are due; one at least."""
    return max(PARTS_PER_PASS // sum(PARTS_EACH + len(balance.parts) for balance in balances), 1)


def _touched(now: Pass, streams: StreamPass, lots: LotPass) -> Iterable[int]:
    """Intervals in which a figure may have changed, or a stock at either end."""
    spans = [Span(part.first, part.stop) for part in streams.computed]
    spans += [span.widened(1) for span in streams.seen]
    if lots.changed_from is not None:
        spans.append(Span(lots.changed_from, max(now.horizon, lots.changed_from + 1)))
    length = now.balance_s // now.step_s
    for span in merged(spans):
        yield from range(span.first // length, (span.stop - 1) // length + 1)


def _judge(now: Pass, due: Sequence[int]) -> tuple[list[tuple[Balance, Told]], list[int], list[str]]:
    """What is told of each due interval, and of those after it in which another meter may be named now."""
    after = {n + k for n in due for k in range(1, WINDOW)} - set(due)
    intervals = sorted({*due, *store_balances.computed_of(now.connection, after, now.balance_s)})
    rested_on = sorted({n - k for n in intervals for k in range(WINDOW)})
    heard, live, structures = Hearing(now, rested_on), live_streams(now, rested_on), Structures()
    told: list[tuple[Balance, Told]] = []
    problems: dict[str, None] = {}
    for balance in now.plan.balances:
        prepared = {n: found for n in rested_on if (found := prepare(balance, n, heard.of(n), live[n]))}
        systems = {n: found.system for n, found in prepared.items()}
        for n in intervals:
            if n not in prepared:
                continue
            try:
                judged = judge(prepared[n], structures)
                told.append((balance, told_of(judged, suspects_at(n, systems, judged.estimate.structure), structures)))
            except ModelError as error:
                problems[f"{balance.name}: {error}"] = None
    return told, intervals, list(problems)


def _figures(now: Pass, intervals: Sequence[int], told: Sequence[tuple[Balance, Told]]) -> list[Computed]:
    """For every figure that balances may give, what it is in these intervals; where it is none now, that it is gone."""
    values: dict[Subject, list[StepValue]] = defaultdict(list)
    for _, each in told:
        for subject, value in each.figures.items():
            values[subject].append(value)
    computed = []
    for balance in now.plan.balances:
        sensors = {part.reconciled: part.sensors for part in balance.parts}
        for subject in balance.subjects:
            inputs = {
                "balance": balance.name,
                "sensors": sensors.get(subject, []),
                "hub_version": now.plan.hub.version,
            }
            for run in merged(Span(n, n + 1) for n in intervals):
                found = [value for value in values[subject] if run.first <= value.step < run.stop]
                computed.append(Computed(subject, run.first, run.stop, found, inputs))
    return computed

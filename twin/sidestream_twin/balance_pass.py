"""Closes every balance over each interval that ended and that something changed in, a bounded number of them at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidestream_store.twin import balances as store_balances
from sidestream_store.twin.balances import Evidence
from sidestream_store.twin.values import Computed, StepValue, Subject, save_values
from sidestream_twin.balance_hearing import Hearing, live_streams
from sidestream_twin.balance_interval import Judged, Structures, judge
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
    size = sum(len(balance.parts) for balance in now.plan.balances)
    due = store_balances.claim_due(connection, ended, balance_s, max(PARTS_PER_PASS // size, 1))
    if not due:
        return BalancePass((), True, ())
    told, intervals, problems = _judge(now, due)
    store_balances.save_balances(connection, intervals, [each.row for _, each in told], balance_s)
    computed = _figures(now, intervals, told)
    save_values(connection, computed, balance_s, now.now_at)
    return BalancePass(tuple(computed), not store_balances.is_due(connection, ended, balance_s), tuple(problems))


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
    connection, balance_s, structures = now.connection, now.balance_s, Structures()
    after = {n + k for n in due for k in range(1, WINDOW)} - set(due)
    there = store_balances.computed_between(connection, min(after), max(after) + 1, balance_s) if after else []
    intervals = sorted({*due, *(n for n in there if n in after)})
    heard, live = Hearing(now, intervals), live_streams(now, intervals)
    told: list[tuple[Balance, Told]] = []
    problems: list[str] = []
    for balance in now.plan.balances:
        found: dict[int, Judged] = {}
        for n in intervals:
            try:
                judged = judge(balance, n, heard.of(n), live[n], structures)
            except ModelError as error:
                problems.append(f"{balance.name}: {error}")
                continue
            if judged is not None:
                found[n] = judged
        evidence = _evidence(now, balance, intervals, found)
        told += [(balance, told_of(judged, suspects_at(n, evidence), structures)) for n, judged in found.items()]
    return told, intervals, problems


def _evidence(now: Pass, balance: Balance, intervals: Sequence[int], found: Mapping[int, Judged]) -> list[Evidence]:
    """Of the intervals at hand what was just found, of those before them what is saved."""
    first = min(intervals) - WINDOW + 1
    before = store_balances.load_evidence(now.connection, balance.name, first, max(intervals), now.balance_s)
    evidence = [each for each in before if each.interval not in set(intervals)]
    for n, judged in found.items():
        for suspect in judged.diagnosis.suspects:
            for name, bias, spread in zip(suspect.meters, suspect.biases, suspect.bias_sds, strict=True):
                evidence.append(Evidence(n, name, bias, spread, at_fault=True))
    return evidence


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

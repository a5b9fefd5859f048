"""Raises what is out of order at the end of a pass, in its transaction, and lets go what is in order again."""

from __future__ import annotations

from collections.abc import Sequence

from sidestream_store.findings import conditions
from sidestream_store.findings.occurrences import Raised, open_subjects, save_raised
from sidestream_store.twin.values import Computed
from sidestream_twin import finding_words as words
from sidestream_twin import meter_words
from sidestream_twin.context import Pass


def update_findings(now: Pass, computed: Sequence[Computed], problems: Sequence[str]) -> int:
    """The open findings are what holds at the pass's moment by the figures saved so far; how many are new."""
    connection, now_at = now.connection, now.now_at
    raised: list[Raised] = [
        *words.of_flags(conditions.flagged(connection)),
        *words.of_agreements(conditions.off_track(connection, now_at)),
        *words.of_sensors(conditions.bad_sensors(connection, now_at)),
        *meter_words.of_meters(conditions.meter_events(connection, now_at)),
        *meter_words.of_heats(conditions.two_heats(connection, now_at)),
        *meter_words.of_stuck(conditions.stuck(connection, now_at)),
        *words.of_devices(conditions.away(connection)),
        *words.of_suspects(conditions.suspects(connection)),
        *words.of_forecasts(conditions.foreseen(connection, now_at)),
        *words.of_problems(problems, now_at),
    ]
    return save_raised(connection, raised, _untold(now, computed), now_at)


def _untold(now: Pass, computed: Sequence[Computed]) -> list[tuple[str, str]]:
    """Numbers that could not be computed earlier and were not tried now: nobody can say that they are well again."""
    tried = {f"{part.subject.id}/{part.subject.quantity}" for part in computed}
    known = {f"{subject.id}/{subject.quantity}" for subject in now.plan.subjects}
    open_ones = open_subjects(now.connection, words.NOT_COMPUTABLE)
    return [(words.NOT_COMPUTABLE, subject) for subject in open_ones if subject in known - tried]

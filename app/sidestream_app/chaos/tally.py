"""Drains, then holds the journals of all senders against the database."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterable, Iterator

from sidestream_app.chaos.rig import Rig
from sidestream_app.demo.counting import Count, Measurement, count, measurements
from sidestream_contracts.errors import DomainError

_TELL_EVERY_S = 3.0
_LOOK_S = 0.1


def drain(rig: Rig, within_s: float) -> float | None:
    """Sources stand still and everything every sender stored is acknowledged; seconds it took, or None when it did not.

    An acknowledgement is read from the ledger after the commit; so an empty outbox means that all of it is in the database.
    """
    rig.supervisor.send("devices", signal.SIGSTOP)
    begin_s = told_s = time.monotonic()
    while not rig.stop.is_set() and time.monotonic() - begin_s < within_s:
        left = _left(rig)
        if not any(left.values()) and _frozen(rig):
            return time.monotonic() - begin_s
        if time.monotonic() - told_s > _TELL_EVERY_S:
            told_s = time.monotonic()
            rig.say("drain", "still to be acknowledged: " + ", ".join(f"{k} {v}" for k, v in left.items() if v))
        rig.stop.wait(_LOOK_S)
    return None


def thaw(rig: Rig) -> None:
    """Frozen processes go on, so that they can end."""
    for name in ("devices", *rig.edges()):
        _signal(rig, name, signal.SIGCONT)


def tally(rig: Rig) -> Count:
    """Multiset differences of all journals against readings and quarantine; forged frames were sent by nobody."""
    from sidestream_edge.outbox import journal_epochs
    from sidestream_store import audit

    epochs = {epoch for edge in rig.edges() for epoch in journal_epochs(rig.outbox(edge), 0)} | {rig.sender.epoch}
    quarantine = audit.quarantined(rig.dsn, epochs, rig.forged)
    committed = audit.committed(rig.dsn, epochs)
    return count(
        comparable(sent(rig)),
        comparable(committed.measurements),
        comparable(quarantine.measurements),
        quarantine.uncounted,
    )


def sent(rig: Rig) -> Iterator[Measurement]:
    """Every journal, one after the other."""
    from sidestream_edge.outbox import read_journal

    for edge in rig.edges():
        for payload in read_journal(rig.outbox(edge)):
            yield from measurements(payload)
    yield from rig.sender.journal


def comparable(found: Iterable[Measurement]) -> Iterator[Measurement]:
    """The same with NaN as a word: a NaN equals not even itself."""
    for sensor, t, value in found:
        yield sensor, t, "NaN" if isinstance(value, float) and math.isnan(value) else value


def _left(rig: Rig) -> dict[str, int]:
    from sidestream_edge.outbox import waiting_frames

    waiting = {edge: waiting_frames(rig.outbox(edge)) for edge in rig.edges()}
    bursts = {f"{burst.device}'s file": int(not _played(rig, burst.device)) for burst in rig.bursts}
    return {**waiting, **bursts, "extra sender": rig.sender.pending}


def _played(rig: Rig, device: str) -> bool:
    """Whether a burst edge has taken its whole file into the outbox."""
    burst = next(burst for burst in rig.bursts if burst.device == device)
    from sidestream_edge.outbox import read_journal

    return sum(1 for payload in read_journal(rig.outbox(device)) for _ in measurements(payload)) >= burst.readings


def _frozen(rig: Rig) -> bool:
    """Every edge stands still with an empty outbox; where one is not empty, all go on."""
    from sidestream_edge.outbox import waiting_frames

    edges = rig.edges()
    if all(_signal(rig, edge, signal.SIGSTOP) for edge in edges) and not any(
        waiting_frames(rig.outbox(edge)) for edge in edges
    ):
        return True
    for edge in edges:
        _signal(rig, edge, signal.SIGCONT)
    return False


def _signal(rig: Rig, name: str, number: signal.Signals) -> bool:
    try:
        rig.supervisor.send(name, number)
    except DomainError:
        return False  # it is being restarted; its outbox is on disk
    return True

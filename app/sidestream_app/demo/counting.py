"""Lost and doubled: the sender's journal held against the database, as multisets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import parse_json

Measurement = tuple[str, int, float | str | None]


@dataclass(frozen=True, slots=True)
class Count:
    """`lost`: in the journal and nowhere in the hub. `doubled`: in the hub more often than in the journal."""

    sent: int
    committed: int
    quarantined: int
    lost: int
    doubled: int


def measurements(payload: bytes) -> Iterator[Measurement]:
    """What a frame's payload says was measured; nothing where it can't be read."""
    try:
        body = parse_json(payload)
    except ContractError:
        return
    for index, t, value in zip(body.get("i", ()), body.get("t", ()), body.get("val", ()), strict=True):
        yield body["sensors"][index], t, value


def count(
    sent: Iterable[Measurement],
    committed: Iterable[Measurement],
    quarantined: Iterable[Measurement],
    uncounted: int = 0,
) -> Count:
    """Multiset differences of the journal against readings plus quarantine.

    `uncounted` readings are in quarantine as a number only; they can excuse that many missing ones, never more.
    """
    journal, in_hub, kept = Counter(sent), Counter(committed), Counter(quarantined)
    held = in_hub + kept
    missing = (journal - held).total()
    return Count(
        sent=journal.total(),
        committed=in_hub.total(),
        quarantined=kept.total() + uncounted,
        lost=max(0, missing - uncounted),
        doubled=(held - journal).total(),
    )

"""Recomputes every lot that was read in the changed ranges, from all its reads, and what that changes at the nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sidestream_store.twin import lots as store_lots
from sidestream_store.twin.dirty import Changed, step_start
from sidestream_store.twin.lots import Held
from sidestream_store.twin.values import Computed, newest_step, save_values, still_true
from sidestream_twin.context import Pass
from sidestream_twin.lot_places import PlaceRules, holdings, trace
from sidestream_twin.plan import LotNode
from sidestream_twin.steps import Span


@dataclass(frozen=True, slots=True)
class LotPass:
    """How many lots were traced, the first step that a scan changed (None: none did), and the figures of nodes."""

    lots: int
    changed_from: int | None
    computed: tuple[Computed, ...]


def update_lots(now: Pass, changed: Sequence[Changed]) -> LotPass:
    """Lots, stays and the figures of the nodes that hold them are those of the scans as they are.

    Where lots are is told at once, the figures of nodes only for steps that have ended. Codes of sensors whose role is not
    scan (raw reads of an RFID reader) are kept and tell nothing.
    """
    connection, plan = now.connection, now.plan
    scans = [part for part in changed if part.sensor_id in plan.scanners]
    codes = store_lots.codes_read(connection, scans, now.step_s) if scans else []
    if not codes:
        return LotPass(0, None, ())
    # A read at the very start of a step shows at the end of the step before.
    first = min(part.first for part in scans) - 1
    since = step_start(first, now.step_s)
    places = store_lots.places_since(connection, codes, since)
    mounted = store_lots.places_of_tags(connection, codes)
    rules = PlaceRules(plan.scanners, plan.hub.lot_types, mounted, plan.hub.fixed_tags)
    kept_only = {s.sensor_id for s in plan.hub.sensors if s.role != "scan"}
    reads = [scan for scan in store_lots.scans_of(connection, codes) if scan.sensor_id not in kept_only]
    lots, stays = trace(reads, rules)
    store_lots.save_lots(connection, codes, lots, stays, now.now_at)
    places |= store_lots.places_since(connection, codes, since)
    computed = _hold(now, [n for n in plan.lot_nodes if n.node.id in places], first)
    save_values(connection, computed, now.step_s, now.now_at)
    return LotPass(len(lots), first, tuple(computed))


def _hold(now: Pass, nodes: Sequence[LotNode], first: int) -> list[Computed]:
    stop = _until(now, nodes)
    if stop <= first:
        return []
    held: dict[str, list[Held]] = defaultdict(list)
    for lot in store_lots.held_since(now.connection, [n.node.id for n in nodes], step_start(first, now.step_s)):
        held[lot.node].append(lot)
    types = {kind.id: kind for kind in now.plan.hub.lot_types}
    computed = []
    for lot_node in nodes:
        found = holdings(lot_node.node, held[lot_node.node.id], types, Span(first, stop), now.step_s)
        sensors = [s.id for s in now.plan.scanners.values() if s.node == lot_node.node.id]
        inputs = {"sensors": sensors, "lot_types": sorted(types), "hub_version": now.plan.hub.version}
        for subject, values in zip(lot_node.subjects, (found.mass, found.count), strict=True):
            computed.append(Computed(subject, first, stop, values, inputs))
    return computed


def _until(now: Pass, nodes: Sequence[LotNode]) -> int:
    """The present, or what another updater whose clock is ahead has computed: a scan changes all that comes after it."""
    newest = newest_step(now.connection, [subject for node in nodes for subject in node.subjects], now.step_s)
    return max(now.horizon, -1 if newest is None else newest + 1)


def carry_forward(now: Pass) -> None:
    """Lots that nobody read elsewhere are still where they were, so what a node holds is as new as the last step.

    Not for a recording: what it tells of is past.
    """
    if now.plan.lot_nodes and not store_lots.scans_are_recorded(now.connection):
        subjects = [subject for node in now.plan.lot_nodes for subject in node.subjects]
        still_true(now.connection, subjects, step_start(now.horizon - 1, now.step_s), now.now_at)

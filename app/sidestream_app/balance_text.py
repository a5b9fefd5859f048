"""Balances of an interval in words: a table, what does not close, whom to look at, what can't be checked or known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidestream_store.read.balances import BalanceState, Interval, NodeState, PartState
from sidestream_store.read.words import twin_unit

_MISSING = {
    "no_meter": "it has no meter",
    "no_readings": "its meter gave no readings in this interval",
    "too_few": "its meter was silent for more than half of this interval",
}
_SCALE = {"W": (1000.0, "kW"), "kg/s": (1.0, "kg/s")}


def interval_lines(told: Interval) -> Iterator[str]:
    """Everything that is told of an interval, balance by balance."""
    for balance in told.balances:
        parts = [part for part in told.parts if part.balance == balance.balance]
        nodes = [node for node in told.nodes if node.balance == balance.balance]
        yield f"{balance.balance}, {balance.time:%Y-%m-%d %H:%M:%S}Z, {balance.step_s} s: {_standing(balance)}"
        yield from _table(parts)
        for lines in (_places(nodes), _named(parts), _unchecked(parts), _unknown(parts, nodes)):
            yield from (f"  {line}" for line in lines)
        yield ""


def statements(told: Interval) -> list[str]:
    """What needs saying beside the numbers."""
    parts, nodes = told.parts, told.nodes
    return [*_places(nodes), *_named(parts), *_unchecked(parts), *_unknown(parts, nodes)]


def _standing(balance: BalanceState) -> str:
    if balance.closes is None:
        return "nothing in it can be checked"
    told = f"χ² {balance.test:.1f} with {balance.redundancy} checks, p {balance.p_value:.3g}"
    return f"closes ({told})" if balance.closes else f"DOES NOT CLOSE ({told})"


def _table(parts: Iterable[PartState]) -> Iterator[str]:
    head = ("", "measured", "±", "balanced", "±", "unit", "known", "least error seen")
    rows = [head, *(_row(part) for part in parts)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    for row in rows:
        cells = [
            cell.rjust(width) if 0 < n < 5 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def _row(part: PartState) -> tuple[str, ...]:
    scale, unit = _scale(part.quantity)
    mark = " SUSPECT" if part.suspect else " ?" if part.at_fault else ""

    def number(value: float | None, factor: float = 1.0) -> str:
        return "–" if value is None else f"{value * factor / scale:.5g}"

    seen = number(part.least_bias) + f" {unit}" if part.least_bias is not None else "–"
    return (
        f"{_name(part)}{mark}", number(part.measured), number(part.sd_measured, 2.0), number(part.reconciled),
        number(part.sd, 2.0), unit, part.knowledge, seen,
    )  # fmt: skip


def _places(nodes: Iterable[NodeState]) -> Iterator[str]:
    for node in nodes:
        if node.closes is False and node.imbalance is not None and node.sd is not None:
            scale, unit = _scale("energy_imbalance" if node.balance == "energy" else "mass_imbalance")
            way = "more enters than leaves" if node.imbalance > 0 else "more leaves than enters"
            yield (
                f"{node.subject_kind} {node.node} does not close: {way} by {abs(node.imbalance) / scale:.4g} "
                f"± {2 * node.sd / scale:.2g} {unit}."
            )


def _named(parts: Iterable[PartState]) -> Iterator[str]:
    for part in parts:
        if not part.suspect or part.bias is None or part.bias_sd is None:
            continue
        scale, unit = _scale(part.quantity)
        others = " or ".join("/".join(each[1:]) for each in part.alike)
        alike = f" No test can tell it from {others}." if others else ""
        power = (
            f" An error of this size is found in {100 * part.power:.0f} of 100 cases." if part.power is not None else ""
        )
        sensors = f" (sensors {', '.join(part.inputs.get('sensors', []))})" if part.inputs.get("sensors") else ""
        way = "too much" if part.bias > 0 else "too little"
        yield (
            f"Suspect: {_name(part)}{sensors} shows {abs(part.bias) / scale:.4g} ± {2 * part.bias_sd / scale:.2g} {unit} {way}; "
            f"its readings are left out of the balance.{alike}{power}"
        )


def _unchecked(parts: Iterable[PartState]) -> Iterator[str]:
    for part in parts:
        if part.knowledge == "non-redundant" and part.measured is not None:
            yield f"{_name(part)} can't be checked by the others: whatever it shows, everything else still adds up."


def _unknown(parts: Iterable[PartState], nodes: Iterable[NodeState]) -> Iterator[str]:
    open_at = {f"{n.subject_kind} {n.node}": n.not_known for n in nodes}
    for part in parts:
        if part.knowledge != "unobservable":
            continue
        key = f"{part.subject_kind}/{part.subject}/{part.quantity}"
        beside = sorted(
            {_short(other) for missing in open_at.values() if key in missing for other in missing} - {_name(part)}
        )
        with_others = f", and {', '.join(beside)} beside it is not measured either" if beside else ""
        yield f"{_name(part)} can't be known: {_MISSING.get(part.missing or '', 'nothing tells it')}{with_others}."


def _name(part: PartState) -> str:
    return f"{part.subject}/{part.quantity}"


def _short(key: str) -> str:
    return key.split("/", 1)[1]


def _scale(quantity: str) -> tuple[float, str]:
    unit = twin_unit(quantity) or "1"
    return _SCALE.get(unit, (1.0, unit))

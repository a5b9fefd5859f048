"""Figures as messages: which topic carries which bytes. Pure; the same figure always gives the same bytes."""

from __future__ import annotations

from sidestream_contracts.twinmessage import Shown, TwinAddress, TwinMessage
from sidestream_store.outward import Figure, Outward
from sidestream_store.read.words import twin_unit

_SHOWN = {"W": ("kW", 1000.0), "kg/s": ("t/h", 1000.0 / 3600.0), "kg": ("t", 1000.0)}
"""SI unit → unit in which people read it, and how much SI one of it is."""


def messages(outward: Outward) -> dict[str, bytes]:
    """Topic → payload of every figure for every party that may have it."""
    made: dict[str, bytes] = {}
    for figure in outward.figures:
        unit = twin_unit(figure.quantity)
        if unit is None:
            continue  # a quantity of a newer twin, whose unit this version does not know: a bare number would mislead
        payload = _message(outward, figure, unit).model_dump_json().encode()
        for party in figure.parties:
            address = TwinAddress(outward.hub, party, figure.kind, figure.subject, figure.quantity)
            made[address.topic] = payload
    return made


def _message(outward: Outward, figure: Figure, unit: str) -> TwinMessage:
    shown_unit, one = _SHOWN.get(unit, (unit, 1.0))
    return TwinMessage.model_validate(
        {
            "hub": outward.hub,
            "kind": figure.kind,
            "subject": figure.subject,
            "quantity": figure.quantity,
            "value": figure.value,
            "unit": unit,
            "sd": figure.sd,
            "sd_random": figure.sd_random,
            "sd_systematic": figure.sd_systematic,
            "shown": Shown(value=_scaled(figure.value, one), sd=_scaled(figure.sd, one), unit=shown_unit),
            "time": figure.time,
            "step_s": figure.step_s,
            "origin": figure.origin,
            "completeness": min(max(figure.completeness, 0.0), 1.0),
            "stale": figure.stale,
            "flags": list(figure.flags),
            "synthetic": outward.synthetic,
            "config_version": outward.config_version,
            "computed_at": figure.computed_at,
        }
    )


def _scaled(value: float | None, one: float) -> float | None:
    return None if value is None else value / one

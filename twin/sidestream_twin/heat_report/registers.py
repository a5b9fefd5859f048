"""Heat computed from flow and temperatures beside the meter's own register, over the steps that have both. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.register import RegisterCheck, check_register
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.heat_report.heard import Energy, Heard
from sidestream_twin.heat_report.told import Told, not_known, told

_COMPUTED = ("heat_flow", "heat_flow_receiver")


@dataclass(frozen=True, slots=True)
class RegisterReport:
    """Computed and registered heat of the same steps, J; `ratio` of the first to the second and the likely cause."""

    stream: str
    quantity: str
    name: str
    computed: Told
    registered: Told
    ratio: float | None
    cause: str | None
    factor: float | None
    why: str | None


def register_reports(heard: Heard) -> list[RegisterReport]:
    """Every meter that has both."""
    keys = [(s.id, quantity) for s in heard.hub.streams for quantity in _COMPUTED]
    return [
        _report(heard, key, heard.energies[key], heard.energies[other])
        for key in keys
        if key in heard.energies and (other := (key[0], f"register_{key[1]}")) in heard.energies
    ]


def _report(heard: Heard, key: tuple[str, str], computed: Energy, registered: Energy) -> RegisterReport:
    name = heard.side.names.get(("stream", key[0]), key[0])
    own, other = (
        _paired(heard, each, energy) for each, energy in ((key, computed), ((key[0], f"register_{key[1]}"), registered))
    )
    if own is None or other is None:
        reason = "no step in which both have a figure"
        nothing = not_known("J", reason)
        return RegisterReport(*key, name, nothing, nothing, None, None, None, reason)
    found: RegisterCheck | None = None
    why: str | None = None
    try:
        found = check_register(own, other)
    except ModelError as error:
        why = str(error)
    return RegisterReport(
        *key,
        name,
        told(own, "J", computed.origin(computed.valued_s), heard.completeness(computed, computed.valued_s)),
        told(other, "J", registered.origin(registered.valued_s), heard.completeness(registered, registered.valued_s)),
        found.ratio if found else None,
        str(found.cause) if found else None,
        found.factor if found else None,
        why,
    )


def _paired(heard: Heard, key: tuple[str, str], energy: Energy) -> Uncertain | None:
    """The part of the energy that has a partner, as sure in proportion as all of it."""
    whole, part = energy.over(energy.valued_s), heard.paired.get(key)
    if part is None:
        return None
    share = min(abs(part / whole.value), 1.0) if whole.value else 1.0
    return Uncertain(part, whole.sd_random * share**0.5, whole.sd_systematic * share)

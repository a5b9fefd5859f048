"""What a probe of an LLRP reader found, in words, as facts for a program, and as a draft of `edge.yaml`. Pure."""

from __future__ import annotations

from typing import Any

from sidestream_edge.probe.llrp import Found, Tag

SHOWN = 10
"""Tags of an antenna that are shown one by one; a program gets them all."""


def used(found: Found) -> list[int]:
    """Antennas that are connected, or have read something where the reader does not tell."""
    told = [a for a, is_there in found.connected.items() if is_there or (is_there is None and found.tags.get(a))]
    return told or sorted(found.tags)


def lines(found: Found) -> list[str]:
    """For a person."""
    powers = f", {found.powers_dbm[0]:g} to {found.powers_dbm[1]:g} dBm" if found.powers_dbm else ""
    said = [
        f"{found.address}: {found.maker} model {found.model}, firmware {found.firmware}, {len(found.connected)} antennas{powers}."
    ]
    said.append(f"its clock: {found.clock}")
    for antenna, is_there in found.connected.items():
        tags = found.tags.get(antenna, ())
        state = {True: "connected", False: "not connected", None: "the reader does not say whether it is connected"}[
            is_there
        ]
        reads = sum(tag.reads for tag in tags)
        said.append(f"antenna {antenna}: {state}; {len(tags)} tags, {reads} reads in {found.listened_s:g} s")
        said += [f"  {tag.code}  {tag.reads} reads{_strength(tag)}" for tag in tags[:SHOWN]]
        said += [f"  and {len(tags) - SHOWN} more"] if len(tags) > SHOWN else []
    return said


def _strength(tag: Tag) -> str:
    return "" if tag.strongest_dbm is None else f", strongest {tag.strongest_dbm:g} dBm"


def facts(found: Found) -> dict[str, Any]:
    """For a program: everything, as JSON can hold it."""
    return {
        "address": found.address,
        "maker": found.maker,
        "model": found.model,
        "firmware": found.firmware,
        "powers_dbm": list(found.powers_dbm) if found.powers_dbm else None,
        "clock": found.clock,
        "listened_s": found.listened_s,
        "antennas": [
            {
                "antenna": antenna,
                "connected": is_there,
                "tags": [
                    {"code": tag.code, "reads": tag.reads, "strongest_dbm": tag.strongest_dbm}
                    for tag in found.tags.get(antenna, ())
                ],
            }
            for antenna, is_there in found.connected.items()
        ],
    }


def driver_section(host: str, port: int, found: Found) -> str | None:
    """A `drivers` item with one place for each antenna that is there; None where there is none."""
    there = used(found)
    if not there:
        return None
    head = ["  - id: rfid", "    type: llrp", f"    host: {host}", *([f"    port: {port}"] if port != 5084 else [])]
    places = [
        f"      - {{id: place-{a}, antennas: [{a}], sensor: rfid-{a}}}  # {len(found.tags.get(a, ()))} tags were read here"
        for a in there
    ]
    return "\n".join(
        [*head, "    places:  # which antennas watch one place; for a gate with a direction see docs/rfid.md", *places]
    )

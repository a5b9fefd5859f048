"""Asks an LLRP reader what it is and which antennas it has, and listens for some seconds to which tags each of them reads.

A reader serves one client: while this runs no other can, and a reader that another holds says so. Nothing is written to it
but an inventory, which is gone afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sidestream_contracts.edge_rfid import LlrpDriver
from sidestream_edge.drivers.llrp.codes import code_of
from sidestream_edge.drivers.llrp.link import antennas, connect, open_link
from sidestream_edge.drivers.llrp.portal import Sighting

_MAKERS = {25882: "Impinj", 161: "Zebra (Motorola)", 17996: "Novanta (ThingMagic)", 22695: "Alien"}
"""Enterprise numbers of IANA that LLRP readers name their maker by."""

_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Tag:
    """What was read of a tag at one antenna."""

    code: str
    reads: int
    strongest_dbm: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader is, and what each antenna read. `connected` None: the reader does not tell."""

    address: str
    maker: str
    model: int
    firmware: str
    powers_dbm: tuple[float, float] | None
    connected: dict[int, bool | None]
    tags: dict[int, tuple[Tag, ...]]
    listened_s: float
    clock: str


def probe(host: str, port: int, listen_s: float, timeout_s: float, tell: Callable[[str], None]) -> Found:
    """What is there; TransientError that says why nothing could be asked."""
    return asyncio.run(_probe(host, port, listen_s, timeout_s, tell))


async def _probe(host: str, port: int, listen_s: float, timeout_s: float, tell: Callable[[str], None]) -> Found:
    where = f"RFID reader {host}:{port}"
    reader = await connect(host, port, timeout_s, where)
    try:
        known, is_known = reader.capabilities, await antennas(reader, where)
    finally:
        await reader.close()
    ports = list(range(1, known.max_antennas + 1)) or sorted(is_known) or [1]
    config = LlrpDriver.model_validate(
        {"id": "probe", "type": "llrp", "host": host, "port": port, "timeout_s": timeout_s,
         "places": [{"id": "all", "antennas": ports, "sensor": "probe"}]}
    )  # fmt: skip
    link, _ = await open_link(config, where)
    sightings: list[Sighting] = []
    try:
        until_s = time.monotonic() + listen_s
        while (left_s := until_s - time.monotonic()) > 0 and link.is_open:
            tell(f"listening, {left_s:.0f} s more: {len(sightings)} reads")
            sightings += await link.sightings(min(_LOOK_S, left_s))
    finally:
        await link.close()
    powers = known.transmit_powers.values()
    return Found(
        f"{host}:{port}",
        _MAKERS.get(known.manufacturer, f"maker {known.manufacturer}"),
        known.model_number,
        known.firmware,
        (min(powers), max(powers)) if powers else None,
        {a: is_known.get(a) for a in ports},
        _tags(sightings),
        listen_s,
        link.clock.described if sightings else "not known: nothing was read",
    )


def _tags(sightings: list[Sighting]) -> dict[int, tuple[Tag, ...]]:
    """By antenna, the most read first."""
    by: dict[int, dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for sighting in sightings:
        by[sighting.antenna][code_of(sighting.epc, "uri")].append(sighting.rssi_dbm)
    return {
        antenna: tuple(sorted(map(_tag, found.items()), key=lambda t: (-t.reads, t.code)))
        for antenna, found in sorted(by.items())
    }


def _tag(item: tuple[str, list[float | None]]) -> Tag:
    code, rssi = item
    return Tag(code, len(rssi), max((dbm for dbm in rssi if dbm is not None), default=None))

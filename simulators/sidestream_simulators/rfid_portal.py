"""A warehouse portal with RFID antennas, made up, seeded: what happened (hidden truth) and what the reader saw of it.

Each antenna stands for one place. A tag that is at a place is read there in an inventory round with a probability of its
own, 60 to 70 % for most, less for those on metal or wound in film; now and then something stands in the way and most
rounds miss it (fading). The neighbours' antennas read it too, seldom and weakly. So reads flap, cross and miss as at a
real dock door; how they were made is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

GTIN_96 = 0x30
"""Header of an SGTIN-96, the commonest code on a tag (GS1 EPC Tag Data Standard)."""


class PortalRead(NamedTuple):
    """One read, as a reader reports it; `t_s` in seconds since the simulation began."""

    t_s: float
    epc: bytes
    antenna: int
    rssi_dbm: float


@dataclass(frozen=True, slots=True)
class Stay:
    """The truth: this tag was at the place of this antenna from `from_s` until before `to_s`."""

    epc: bytes
    antenna: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """How the portal behaves. Rates are per inventory round of `round_s`.

    `rate`, `rate_sd`: of the tags' own read probability, kept within 0.15 to 0.95. `fade_every_s`, `fade_s`: mean time
    between and mean length of fadings, in which only `faded` of the rounds that would read a tag do. `cross_rate`: chance
    that a neighbouring antenna reads a tag, `cross_db` weaker.
    """

    antennas: int = 4
    round_s: float = 0.2
    rate: float = 0.65
    rate_sd: float = 0.15
    fade_every_s: float = 25.0
    fade_s: float = 0.6
    faded: float = 0.25
    cross_rate: float = 0.03
    cross_db: float = 12.0
    stay_s: float = 20.0
    route: int = 3


@dataclass(frozen=True, slots=True)
class Portal:
    """Everything that was read, in order of time, and what really happened."""

    reads: tuple[PortalRead, ...]
    stays: tuple[Stay, ...]
    length_s: float


def simulate(tags: int, seed: int, settings: PortalSettings | None = None) -> Portal:
    """`tags` tags that come one after another, each going through some places; the same seed gives the same portal."""
    found = settings or PortalSettings()
    rng = random.Random(seed)
    reads: list[PortalRead] = []
    stays: list[Stay] = []
    for n in range(tags):
        start_s = rng.uniform(0, tags * 0.5)
        route = list(_route(sgtin(n), start_s, found, rng))
        stays += route
        reads += _reads_of(route, found, rng)
    reads.sort()
    length_s = max(stay.to_s for stay in stays) + 1 if stays else 0.0
    return Portal(tuple(reads), tuple(stays), length_s)


def sgtin(serial: int, company: int = 614141, item: int = 812345) -> bytes:
    """The 12 bytes of an SGTIN-96 with a seven-digit company prefix (partition 5)."""
    value = GTIN_96 << 88 | 1 << 85 | 5 << 82 | company << 58 | item << 38 | serial
    return value.to_bytes(12, "big")


def _route(epc: bytes, start_s: float, settings: PortalSettings, rng: random.Random) -> Iterator[Stay]:
    """Stays one after another at neighbouring antennas; sometimes it is out of every field between two of them."""
    antenna, at_s = rng.randint(1, settings.antennas), start_s
    for _ in range(rng.randint(1, settings.route)):
        length_s = max(3.0, settings.stay_s * rng.lognormvariate(-0.3, 0.8))
        yield Stay(epc, antenna, at_s, at_s + length_s)
        away_s = rng.uniform(20.0, 60.0) if rng.random() < 0.5 else 0.0
        at_s += length_s + away_s
        antenna = rng.choice(_neighbours(antenna, settings.antennas))


def _neighbours(antenna: int, antennas: int) -> list[int]:
    return [a for a in (antenna - 1, antenna + 1) if 1 <= a <= antennas] or [antenna]


def _reads_of(route: Sequence[Stay], settings: PortalSettings, rng: random.Random) -> Iterator[PortalRead]:
    rate = min(0.95, max(0.15, rng.gauss(settings.rate, settings.rate_sd)))
    strength_dbm = -50.0 - 15.0 * (1 - rate) + rng.gauss(0, 3)
    phase_s = rng.uniform(0, settings.round_s)
    for stay in route:
        fadings = list(_fadings(stay, settings, rng))
        round_ = math.ceil((stay.from_s - phase_s) / settings.round_s)
        while (at_s := phase_s + round_ * settings.round_s) < stay.to_s:
            faded = any(begin <= at_s < end for begin, end in fadings)
            if rng.random() < rate * (settings.faded if faded else 1.0):
                yield PortalRead(at_s, stay.epc, stay.antenna, round(strength_dbm + rng.gauss(0, 2), 1))
            for other in _neighbours(stay.antenna, settings.antennas):
                if other != stay.antenna and rng.random() < settings.cross_rate:
                    weak_dbm = strength_dbm - settings.cross_db + rng.gauss(0, 3)
                    yield PortalRead(at_s + 0.01, stay.epc, other, round(weak_dbm, 1))
            round_ += 1


def _fadings(stay: Stay, settings: PortalSettings, rng: random.Random) -> Iterator[tuple[float, float]]:
    at_s = stay.from_s + rng.expovariate(1 / settings.fade_every_s)
    while at_s < stay.to_s:
        length_s = rng.expovariate(1 / settings.fade_s)
        yield at_s, at_s + length_s
        at_s += length_s + rng.expovariate(1 / settings.fade_every_s)

"""Numbers in the unit that the asker wants: any UCUM code of the same kind, refused with a sentence where it is not."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import Query

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.read.words import twin_unit
from sidestream_web.errors import bad_parameter

Unit = Annotated[
    str | None, Query(description="UCUM code of the unit to answer in, e.g. kW; default: the number's own unit")
]
# no brackets to nest and no long exponents, so that a code can't be made to calculate for ever
_PLAIN = re.compile(r"(?!.*\d{3})[A-Za-z0-9%\[\]_.*/'\"+-]{1,24}")
_KINDS = {"W": "power", "kg/s": "mass_flow", "kg": "mass", "1": "count"}


@dataclass(frozen=True, slots=True)
class Conversion:
    """`told = own * factor + offset`; standard deviations by the factor alone."""

    unit: str
    factor: float = 1.0
    offset: float = 0.0

    def value(self, own: float | None) -> float | None:
        """A value in the unit that is told; untouched, bit for bit, where that is its own."""
        return own if own is None or self._same else own * self.factor + self.offset

    def spread(self, own: float | None) -> float | None:
        """A standard deviation or difference in the unit that is told."""
        return own if own is None or self._same else own * self.factor

    @property
    def _same(self) -> bool:
        return self.factor == 1.0 and self.offset == 0.0


async def conversion(quantity: str, own: str, asked: str | None) -> Conversion:
    """From the unit `own` of a quantity to the one asked for; RefusedError 422 that says what would do."""
    if asked is None or asked == own:
        return Conversion(own)
    if not _PLAIN.fullmatch(asked):
        raise bad_parameter("unit", f"'unit' is {asked!r}; give a UCUM code such as {own!r}.")
    try:
        return await asyncio.to_thread(_conversion, quantity, own, asked)  # the first one loads a library for a second
    except (ConfigurationError, OverflowError, ZeroDivisionError) as error:
        raise bad_parameter("unit", f"'unit': {str(error).rstrip('.')}.", given=asked) from error


async def twin_conversion(quantity: str, asked: str | None) -> Conversion:
    """As `conversion`, for one of the twin's quantities."""
    own = twin_unit(quantity) or "1"
    return await conversion(_KINDS[own], own, asked)


@lru_cache(maxsize=512)
def _conversion(quantity: str, own: str, asked: str) -> Conversion:
    from sidestream_contracts.units import to_si

    known, wanted = to_si(quantity, own), to_si.__wrapped__(quantity, asked)
    return Conversion(asked, known.factor / wanted.factor, (known.offset - wanted.offset) / wanted.factor)

"""Field types of records with their meaning, so that the read API's description says unit and sense of every number."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

Instant = Annotated[datetime, Field(description="ISO 8601, UTC (`Z`)")]
Share = Annotated[float, Field(description="0 to 1: how much of the time the value is for was really known")]
Inputs = Annotated[Any, Field(description="ids of the sensors and version of the configuration it was computed from")]
Flags = Annotated[Any, Field(description="machine-readable remarks of the twin on this value")]
Origin = Annotated[
    str, Field(description="where the number is from: measured, reconciled, estimated, forecast, agreed or manual")
]
Sd = Annotated[float | None, Field(description="standard deviation in the value's unit; null when not known")]
Kg = Annotated[float | None, Field(description="kg; null when not known or not set")]
Stale = Annotated[bool | None, Field(description="true when the value is too old to be the state of now")]

QUALITY_WORDS = ("good", "uncertain", "bad")
"""What a source said of its own value, by the number it travels as."""

TWIN_UNITS = {
    "heat_flow": "W",
    "power": "W",
    "mass_flow": "kg/s",
    "stock_mass": "kg",
    "lots_mass": "kg",
    "lots_count": "1",
    "heat_loss": "W",
    "heat_change": "W",
    "stock_change": "kg/s",
    "energy_imbalance": "W",
    "mass_imbalance": "kg/s",
}
"""UCUM unit of each quantity of the twin. `register_…` is what a register says, `…_receiver` what there is at the receiver's
end and `…_supplier` at the supplier's, `…_reconciled` what a balance makes of it, `mass_imbalance:…` what a family misses.
"""
_ENDS = ("_reconciled", "_receiver", "_supplier")


def twin_unit(quantity: str) -> str | None:
    """UCUM unit of a quantity of the twin, in whatever of its forms; None for one not known here."""
    bare = quantity.removeprefix("register_").partition(":")[0]
    for end in _ENDS:
        bare = bare.removesuffix(end)
    return TWIN_UNITS.get(bare)

"""An update of a mapped metric becomes a reading. Pure."""

from __future__ import annotations

from sidestream_contracts.edge_brokers import SparkplugSensor
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import Quality
from sidestream_edge.drivers.sparkplug import wire
from sidestream_edge.drivers.sparkplug.node import Update
from sidestream_edge.measurement import Reading

_LARGEST = 1e30
_EARLIEST_US = 946_684_800_000_000
"""2000-01-01."""

_AHEAD_US = 86_400_000_000
_GOOD_FROM, _UNCERTAIN_FROM = 192, 64
_STALE = 500


def reading(sensor: SparkplugSensor, update: Update, received_us: int) -> Reading:
    """The reading with the metric's own time; ContractError `not_a_number`, `out_of_range` or `time_impossible`.

    Without any time in the message it is stamped at reception and uncertain. A null metric is a reading without a value.
    """
    t = received_us if update.time_ms is None else update.time_ms * 1000
    if not _EARLIEST_US <= t <= received_us + _AHEAD_US:
        raise ContractError("time_impossible", f"its time {update.time_ms} ms is before 2000 or over a day ahead")
    if update.metric.is_null:
        return Reading(sensor.id, t, None, Quality.BAD)
    value = wire.number(update.metric.raw, update.datatype) * sensor.scale + sensor.offset
    if not abs(value) <= _LARGEST:
        raise ContractError("out_of_range", f"{value} is not a number within ±1e30")
    quality = _quality(update.metric.quality_code)
    if quality == Quality.GOOD and update.time_ms is None:
        quality = Quality.UNCERTAIN
    return Reading(sensor.id, t, value, quality)


def _quality(code: int | None) -> Quality:
    """OPC quality as Sparkplug uses it: 192 good, 500 stale, below 64 bad."""
    if code is None or (_GOOD_FROM <= code < _STALE):
        return Quality.GOOD
    return Quality.UNCERTAIN if _UNCERTAIN_FROM <= code < _GOOD_FROM else Quality.BAD

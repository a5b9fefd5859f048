"""How values look everywhere: units, colours of states and marks. Orange is doubt, red is wrong, blue is only planned."""

from __future__ import annotations

from typing import Any, Final

from sidestream_dashboards.model import Field, Mappings, Step

KILOWATT: Final = "kwatt"
MEGAWATT_HOUR: Final = "suffix: MWh"
TONNE: Final = "masst"
KILOGRAM: Final = "suffix: kg"
KILOGRAM_PER_SECOND: Final = "suffix: kg/s"
CELSIUS: Final = "celsius"
PERCENT: Final = "percent"
SECONDS: Final = "s"
PER_MINUTE: Final = "suffix: /min"
DECIBEL: Final = "dBm"
BYTES: Final = "bytes"
NUMBER: Final = "none"
AGO: Final = "dateTimeFromNow"
MOMENT: Final = "dateTimeAsIso"
UNITS: Final = frozenset({
    KILOWATT, MEGAWATT_HOUR, TONNE, KILOGRAM, KILOGRAM_PER_SECOND, CELSIUS, PERCENT, SECONDS, PER_MINUTE, DECIBEL, BYTES, NUMBER,
    AGO, MOMENT,
})  # fmt: skip

GOOD, DOUBT, WRONG, PLANNED, OFF = "green", "orange", "red", "blue", "#808080"
ZERO_IS_GOOD: Final = (Step(GOOD), Step(DOUBT, 1))
NEUTRAL: Final = (Step("text"),)
_COLOURED: Final = {"custom.cellOptions": {"type": "color-background", "mode": "basic"}}


def words(*entries: tuple[str, str, str]) -> Mappings:
    """Value mappings from (value, what the reader sees, colour)."""
    options = {
        value: {"text": text, "color": color, "index": index} for index, (value, text, color) in enumerate(entries)
    }
    return ({"type": "value", "options": options},)


FORECAST: Final = words(
    ("reached", "limit reached", WRONG),
    ("expected", "expected", WRONG),
    ("possible", "possible", DOUBT),
    ("not_within_horizon", "not within the horizon", GOOD),
    ("unknown", "not known", DOUBT),
)
UNFORESEEN: Final = words(
    ("stock_unknown", "the mass is not known", "text"),
    ("stock_stale", "the newest mass is old", "text"),
    ("too_little_history", "too little history of its flows", "text"),
    ("flow_unknown", "a flow is neither metered nor agreed", "text"),
    ("no_flows", "no flow in or out is known", "text"),
)
LIFECYCLE: Final = words(
    ("idea", "idea (planned)", PLANNED),
    ("agreed", "agreed (planned)", PLANNED),
    ("building", "building (planned)", PLANNED),
    ("live", "live", GOOD),
    ("paused", "paused", OFF),
    ("ended", "ended", OFF),
)
EXCHANGE_STATUS: Final = words(
    ("live", "live, measured", GOOD),
    ("live_estimated", "live, estimated", DOUBT),
    ("live_stale", "live, figure stale", DOUBT),
    ("live_no_data", "live, no figure", WRONG),
    ("planned", "planned, not running", PLANNED),
    ("paused", "paused", OFF),
    ("ended", "ended", OFF),
)
ORIGIN: Final = words(
    ("measured", "measured", GOOD),
    ("reconciled", "reconciled", GOOD),
    ("manual", "manual", "light-green"),
    ("estimated", "estimated", DOUBT),
    ("forecast", "forecast", PLANNED),
    ("agreed", "agreed, not measured", PLANNED),
)
AGREEMENT_STATUS: Final = words(
    ("on_track", "on track", GOOD),
    ("at_risk", "at risk", DOUBT),
    ("breached", "breached", WRONG),
    ("paused", "paused as planned", OFF),
    ("not_running", "not running", OFF),
    ("unknown", "not known", DOUBT),
)
AGREEMENT_REASON: Final = words(
    ("lifecycle", "the exchange is not live", "text"),
    ("outside_validity", "outside the agreement's dates", "text"),
    ("no_data", "no figures", "text"),
    ("low_coverage", "too little was measured to judge", "text"),
    ("too_early", "too early in the period to judge", "text"),
    ("within_tolerance", "within the agreed tolerance", "text"),
    ("below", "less than agreed", "text"),
    ("above", "more than agreed", "text"),
    ("below_not_sure", "perhaps less than agreed", "text"),
    ("above_not_sure", "perhaps more than agreed", "text"),
    ("within_pattern", "as past periods went by this time", "text"),
    ("planned_stop", "stands still as planned", "text"),
    ("spec_not_met", "agreed quality not kept", "text"),
    ("spec_not_sure", "agreed quality perhaps not kept", "text"),
    ("spec_no_data", "quality not known", "text"),
)
MARK: Final = words(
    ("good", "good", GOOD),
    ("uncertain", "uncertain", DOUBT),
    ("out_of_range", "out of range", WRONG),
    ("bad", "bad, says the source", WRONG),
    ("stale", "stale", DOUBT),
    ("recorded", "recorded (replay)", PLANNED),
    ("none", "never seen", WRONG),
)
DEVICE_STATE: Final = words(
    ("online", "online", GOOD),
    ("manual", "people", GOOD),
    ("offline", "offline", WRONG),
    ("never seen", "never seen", DOUBT),
)
DRIVER_STATE: Final = words(
    ("running", "running", GOOD), ("finished", "finished", GOOD), ("starting", "starting", DOUBT), ("failed", "failed", WRONG),
    ("hung", "hung", WRONG),
)  # fmt: skip
AGE: Final = words(("fresh", "fresh", GOOD), ("stale", "stale", DOUBT), ("none", "no figure", WRONG))


def coloured(name: str, title: str, mappings: Mappings, width: int | None = None) -> Field:
    """A table column of words on a background of their colour."""
    return Field(name, title, mappings=mappings, draw=_COLOURED | _width(width))


def text(name: str, title: str, width: int | None = None) -> Field:
    """A table column of words."""
    return Field(name, title, draw=_width(width))


def moment(name: str, title: str, *, ago: bool = False) -> Field:
    """A table column of times, as a date or as how long ago."""
    return Field(name, title, unit=AGO if ago else MOMENT)


def number(name: str, title: str, unit: str, decimals: int | None = None) -> Field:
    """A table column of numbers."""
    return Field(name, title, unit=unit, decimals=decimals)


def gauge(name: str, title: str, steps: tuple[Step, ...]) -> Field:
    """A table column of percentages, drawn as bars."""
    draw = {"custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 100}
    return Field(name, title, unit=PERCENT, decimals=0, steps=steps, draw=draw)


def line(name: str, title: str, color: str, **draw: Any) -> Field:
    """A series drawn as a line; `draw` are Grafana's `custom` properties."""
    return Field(name, title, draw=_fixed(color) | {f"custom.{key}": value for key, value in draw.items()})


def dashed(name: str, title: str, color: str) -> Field:
    """A series that is not a measurement: a limit, or an estimate."""
    return line(name, title, color, lineStyle={"fill": "dash", "dash": [8, 8]}, fillOpacity=0)


def band(low: str, high: str, color: str, title: str = "2 sd") -> tuple[Field, Field]:
    """The shaded area between two columns: where the true value lies in about 95 of 100 cases."""
    shown = {"lineWidth": 0, "fillOpacity": 20, "showPoints": "never", "stacking": {"mode": "none", "group": "A"}}
    return (
        line(low, f"minus {title}", color, **(shown | {"fillOpacity": 0})),
        line(high, f"plus {title}", color, fillBelowTo=low, **shown),
    )


def _fixed(color: str) -> dict[str, Any]:
    return {"color": {"mode": "fixed", "fixedColor": color}}


def _width(width: int | None) -> dict[str, Any]:
    return {"custom.width": width} if width else {}

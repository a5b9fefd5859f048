"""What a dashboard is made of, apart from Grafana: panels with their SQL, the columns it gives, and what they mean.

A panel that may rightly have nothing to show says so in `empty`, a sentence the reader sees; one without it must
always have rows in a filled database, and the check holds it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["timeseries", "table", "stat", "bargauge", "state-timeline"]
Mappings = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` upwards (None: from below everything) a number is shown in `color`."""

    color: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a panel's SQL: what the reader sees it called, its unit and how it is drawn.

    `unit` is a Grafana unit id and is required for numbers in a table; `draw` holds further properties by Grafana's
    property id, e.g. `custom.fillBelowTo`.
    """

    name: str
    title: str
    unit: str | None = None
    decimals: int | None = None
    mappings: Mappings = ()
    steps: tuple[Step, ...] = ()
    draw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: its SQL over views of `sidestream_v`, and everything a reader needs to trust what it shows.

    `width` and `height` are in Grafana's grid of 24 columns; `bars` and `stacked` apply to time series; `link` is the
    uid of the dashboard that tells more.
    """

    kind: Kind
    title: str
    description: str
    sql: str
    width: int
    height: int
    fields: tuple[Field, ...] = ()
    unit: str = "none"
    decimals: int | None = None
    steps: tuple[Step, ...] = ()
    mappings: Mappings = ()
    empty: str | None = None
    bars: bool = False
    stacked: bool = False
    maximum: float | None = None
    min_interval: str = "1m"
    sort: tuple[str, bool] | None = None
    link: str | None = None
    text: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A heading; with `repeat` it and its panels appear once for each chosen value of that variable."""

    title: str
    repeat: str | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels: with `sql` a list (columns `__text`, `__value`) with All, else free text."""

    name: str
    label: str
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page; `folder` is the key of a folder in `source.FOLDERS`."""

    uid: str
    title: str
    folder: str
    description: str
    parts: tuple[Panel | Row, ...]
    variables: tuple[Variable, ...] = ()
    time_from: str = "now-24h"
    refresh: str = "30s"

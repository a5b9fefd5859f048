"""`sidestream export readings|rollups|twin|scans`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson, Dsn
from sidestream_app.commands.progress import Progress
from sidestream_contracts.errors import ConfigurationError

if TYPE_CHECKING:
    from sidestream_store.export.tables import Source

From = Annotated[
    str | None, Parameter(name="--from", help="First time, ISO 8601 with zone; default: a day before --to.")
]
To = Annotated[str | None, Parameter(name="--to", help="End, not included, ISO 8601 with zone; default: now.")]
Sensors = Annotated[tuple[str, ...], Parameter(name="--sensor", negative=(), help="Only this sensor; may be repeated.")]
Out = Annotated[Path, Parameter(name="--out", help="The file to write.")]
Fmt = Annotated[
    Literal["csv", "parquet"] | None, Parameter(name="--format", help="csv or parquet; default: as --out ends.")
]
Force = Annotated[bool, Parameter(name="--force", negative=(), help="Overwrite --out.")]
Si = Annotated[bool, Parameter(name="--si", negative=(), help="SI units instead of each sensor's own.")]
KnownOn = Annotated[
    str | None, Parameter(name="--as-known-on", help="Figures as they were published then, ISO 8601 with zone.")
]


@dataclass(frozen=True, slots=True)
class _To:
    """Where an export goes, and from which times it is."""

    dsn: str
    out: Path
    start: datetime
    stop: datetime
    format: Literal["csv", "parquet"]
    force: bool
    as_json: bool


def readings(
    *,
    dsn: Dsn,
    out: Out,
    from_: From = None,
    to: To = None,
    sensor: Sensors = (),
    fmt: Fmt = None,
    si: Si = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Write raw readings, as corrected, with unit, standard deviation, quality and mark beside each number."""
    from sidestream_store.export.tables import READINGS

    return _run(_where(dsn, out, from_, to, fmt, force=force, as_json=as_json), READINGS, sensor, si=si)


def scans(
    *,
    dsn: Dsn,
    out: Out,
    from_: From = None,
    to: To = None,
    sensor: Sensors = (),
    fmt: Fmt = None,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Write codes as scanners and RFID readers read them."""
    from sidestream_store.export.tables import SCANS

    return _run(_where(dsn, out, from_, to, fmt, force=force, as_json=as_json), SCANS, sensor)


def rollups(
    *,
    dsn: Dsn,
    out: Out,
    bucket: Annotated[Literal["1m", "1h", "1d"], Parameter(help="Minutes, hours, or days of the hub's zone.")] = "1m",
    from_: From = None,
    to: To = None,
    sensor: Sensors = (),
    fmt: Fmt = None,
    si: Si = False,
    as_known_on: KnownOn = None,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Write minutes, hours or days of sensors: mean, its standard deviation, low, high, first, last, how many counted."""
    from sidestream_store.export.tables import rollups as source

    known = _time("--as-known-on", as_known_on)
    where = _where(dsn, out, from_, to, fmt, force=force, as_json=as_json)
    return _run(where, source(bucket, as_known=known is not None), sensor, si=si, known=known)


def twin(
    *,
    dsn: Dsn,
    out: Out,
    from_: From = None,
    to: To = None,
    subject: Annotated[tuple[str, ...], Parameter(negative=(), help="Only this stream or node; may be repeated.")] = (),
    fmt: Fmt = None,
    as_known_on: KnownOn = None,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Write the twin's figures of streams and nodes, SI, with standard deviations, origin and inputs."""
    from sidestream_store.export.tables import twin as source

    known = _time("--as-known-on", as_known_on)
    where = _where(dsn, out, from_, to, fmt, force=force, as_json=as_json)
    return _run(where, source(as_known=known is not None), subject, known=known)


def _where(
    dsn: str,
    out: Path,
    from_: str | None,
    to: str | None,
    fmt: Literal["csv", "parquet"] | None,
    *,
    force: bool,
    as_json: bool,
) -> _To:
    stop = _time("--to", to) or datetime.now(UTC)
    start = _time("--from", from_) or stop - timedelta(days=1)
    if start >= stop:
        raise ConfigurationError(f"--from ({start.isoformat()}) is not before --to ({stop.isoformat()}).")
    ending = out.suffix.removeprefix(".").lower()
    if fmt is None and ending not in ("csv", "parquet"):
        raise ConfigurationError(f"{out}: say --format csv or parquet, or let the name end in .csv or .parquet.")
    return _To(dsn, out, start, stop, fmt or ("csv" if ending == "csv" else "parquet"), force, as_json)


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ConfigurationError(f"{option} is {text!r}; give a time with its zone, such as 2026-11-22T10:00:00+01:00.")
    return at.astimezone(UTC)


def _run(where: _To, source: Source, only: tuple[str, ...], *, si: bool = False, known: datetime | None = None) -> int:
    from sidestream_store.export.run import Asked, export

    asked = Asked(source, where.start, where.stop, only, si, known)
    with Progress() as progress:
        done = export(where.dsn, asked, where.out, where.format, force=where.force, progress=progress.rows)
    size = where.out.stat().st_size
    if where.as_json:
        facts = {"file": str(where.out), "rows": done.rows, "bytes": size, "seconds": progress.seconds}
        print(
            json.dumps(
                {**facts, "from": where.start.isoformat(), "to": where.stop.isoformat(), "synthetic": done.synthetic}
            )
        )
    else:
        made_up = " Its figures are synthetic." if done.synthetic else ""
        print(f"{where.out}: {done.rows:,} rows, {size / 1e6:.1f} MB in {progress.seconds:.1f} s.{made_up}")
    return 0

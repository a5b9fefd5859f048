"""`sidestream where`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson
from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.times import shown

if TYPE_CHECKING:
    from sidestream_store.read.lots import Lot, Stay


def where(
    code: str,
    /,
    *,
    dsn: Annotated[str | None, Parameter(env_var="SIDESTREAM_DSN", help="PostgreSQL address.")] = None,
    home: Annotated[
        Path | None, Parameter(name="--dir", help="Instead: the folder of a demo or replay that has ended.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Where a lot or tag is, and where it has been; `place unknown` where no place is known for its reads.

    Exit code 1 if the code was never read.

    Parameters
    ----------
    code
        The code as it was scanned, e.g. SS-BAG-000123 or an EPC.
    """
    with _database(dsn, home) as address:
        lot, stays, zone = asyncio.run(_ask(address, code))
    if as_json:
        print_json(_facts(lot, stays))
        return 0
    kind = f" ({lot.lot_type_name})" if lot.lot_type_name else ""
    print(f"{lot.code}{kind}: {_place(lot, zone)}, read {lot.scans} times, last {_at(lot.last_seen_at, zone)}")
    for stay in stays:
        print(
            f"  {_at(stay.from_at, zone)} to {_at(stay.to_at, zone)}  {stay.place or 'place unknown'}  {stay.scans} reads"
        )
    return 0


@contextmanager
def _database(dsn: str | None, home: Path | None) -> Iterator[str]:
    """The address to ask: as given, or of the embedded server in a demo's folder, started for as long as it takes."""
    if home is None:
        if dsn is None:
            raise ConfigurationError(
                "Say which database: --dsn, SIDESTREAM_DSN, or --dir with a demo's or replay's folder."
            )
        yield dsn
        return
    from sidestream_app.demo.layout import Layout
    from sidestream_app.demo.stack import DATABASE
    from sidestream_app.embedded.postgres import EmbeddedPostgres

    layout = Layout(home.absolute())
    if not layout.postgres.exists():
        raise ConfigurationError(f"{home}: has no data of a demo or replay.")
    server = EmbeddedPostgres(layout.postgres)
    server.start()
    try:
        yield server.dsn(DATABASE)
    finally:
        server.stop()


async def _ask(dsn: str, code: str) -> tuple[Lot, list[Stay], str]:
    from sidestream_store.read import lots
    from sidestream_store.read.hub import hub_record
    from sidestream_store.read.pool import open_pool

    async with open_pool(dsn, "where", size=1) as pool:
        lot = await lots.lot(pool, code)
        if lot is None:
            raise DomainError(f"{code!r} was never read; check the code, it must be exactly as scanned.")
        hub = await hub_record(pool)
        return lot, await lots.stays(pool, code), hub.timezone if hub else "UTC"


def _place(lot: Lot, zone: str) -> str:
    if lot.place is None:
        return "place unknown"
    return f"at {lot.place_name or lot.place}, since {_at(lot.since_at, zone)}"


def _at(at: datetime, zone: str) -> str:
    return shown(at.replace(microsecond=0), zone)


def _facts(lot: Lot, stays: list[Stay]) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(lot), "stays": [asdict(stay) for stay in stays]}

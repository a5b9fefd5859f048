"""`sidestream twin balance`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.errors import DomainError


def balance(
    *,
    dsn: Dsn,
    at: Annotated[
        str | None, Parameter(help="The interval that holds this time; without an offset in the hub's zone.")
    ] = None,
    last: Annotated[bool, Parameter(negative=(), help="The newest interval; the same as giving no time.")] = False,
    as_json: AsJson = False,
) -> int:
    """Whether what goes in comes out again, and if not, which meter it is.

    For each balance (energy, and each family of materials) over one interval: what each meter says ± two standard
    deviations, what the meters together make of it, the smallest error of the meter that the others would notice; then
    which places don't close, who is suspect and of what, which meters nobody can check, and what can't be known and why.
    What to do about it: docs/balances.md. Exit code 1 where a balance doesn't close or a meter is suspect.
    """
    from sidestream_app.balance_text import interval_lines, statements
    from sidestream_contracts.times import understood
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.read.balances import interval_at

    with open_connection(dsn, "balance", autocommit=True) as connection:
        wanted = understood(at, zone_of(connection), "--at") if at and not last else None
        told = interval_at(connection, wanted)
    if told is None:
        when = f"the interval of {wanted.isoformat()}" if wanted else "any interval yet"
        raise DomainError(
            f"No balance was closed over {when}. One is closed once its interval (hub.balance_s) has ended and something "
            "was measured in it; `sidestream twin update` computes what is due."
        )
    if as_json:
        print_json({**asdict(told), "statements": statements(told)})
    else:
        print("\n".join(interval_lines(told)).rstrip())
    return int(any(b.closes is False for b in told.balances) or any(part.suspect for part in told.parts))

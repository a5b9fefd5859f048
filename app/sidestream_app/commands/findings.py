"""`sidestream twin findings|acknowledge|shelve|unshelve`."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn

if TYPE_CHECKING:
    from sidestream_store.connect import Connection
    from sidestream_store.findings.actions import Act
    from sidestream_store.findings.read import Action, Finding

By = Annotated[str | None, Parameter(name="--by", help="Who does it; default: the user who is logged in.")]


def findings(
    finding: str | None = None,
    /,
    *,
    dsn: Dsn,
    everything: Annotated[bool, Parameter(name="--all", negative=(), help="Also what is over and done with.")] = False,
    as_json: AsJson = False,
) -> int:
    """What the twin raises: what is out of order, since when, and what to do; the most serious first.

    In the words of ISA-18.2 a finding is unacknowledged, acknowledged, shelved, or returned (to normal, unacknowledged).
    One that holds again after it returned to normal is the next occurrence, `#2`.

    Parameters
    ----------
    finding
        Only this one, with everything that was ever done about it.
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.findings import read

    done: list[Action] = []
    with open_connection(dsn, "findings", autocommit=True) as connection:
        zone = zone_of(connection)
        if finding is None:
            found = read.findings(connection, everything=everything)
        else:
            found = [read.finding_named(connection, finding)]
            done = read.actions(connection, found[0])
    if as_json:
        facts = {"findings": [asdict(each) for each in found], "actions": [asdict(each) for each in done]}
        print_json(facts)
    else:
        print("\n".join(_lines(found, done, zone)))
    return 0


def acknowledge(
    finding: str,
    /,
    *,
    dsn: Dsn,
    reason: Annotated[str | None, Parameter(help="What is known or done about it.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Say that somebody has seen this occurrence. It stays until it returns to normal.

    Parameters
    ----------
    finding
        Its id, as `sidestream twin findings` shows it; without #n its newest occurrence.
    """
    from sidestream_store.findings import actions

    return _done(
        lambda connection, act: actions.acknowledge(connection, finding, act), dsn, by, reason, as_json=as_json
    )


def shelve(
    finding: str,
    /,
    *,
    dsn: Dsn,
    until: Annotated[str, Parameter(help="When it comes back; without an offset in the hub's zone. A month at most.")],
    reason: Annotated[str, Parameter(help="Why; stays on record.")],
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Put a condition aside for a time, whichever occurrence; alerts leave it out. It comes back by itself.

    Parameters
    ----------
    finding
        Its id, as `sidestream twin findings` shows it.
    """
    from sidestream_contracts.times import understood
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.findings import actions

    def put_aside(connection: Connection, act: Act) -> Finding:
        return actions.shelve(connection, finding, understood(until, zone_of(connection), "--until"), act)

    return _done(put_aside, dsn, by, reason, as_json=as_json)


def unshelve(
    finding: str,
    /,
    *,
    dsn: Dsn,
    reason: Annotated[str | None, Parameter(help="Why.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Let a shelved condition come back now.

    Parameters
    ----------
    finding
        Its id, as `sidestream twin findings` shows it.
    """
    from sidestream_store.findings import actions

    return _done(lambda connection, act: actions.unshelve(connection, finding, act), dsn, by, reason, as_json=as_json)


def _done(
    action: Callable[[Connection, Act], Finding], dsn: str, by: str | None, reason: str | None, *, as_json: bool
) -> int:
    """Tells what became of the finding by an action of this person, now."""
    from sidestream_store.connect import open_connection
    from sidestream_store.findings.actions import Act

    with open_connection(dsn, "findings", autocommit=True) as connection:
        done = action(connection, Act(by or getpass.getuser(), datetime.now(UTC), reason))
    if as_json:
        print_json(asdict(done))
    else:
        print(f"{done.finding} is {done.state}.")
    return 0


def _lines(found: Sequence[Finding], done: Sequence[Action], zone: str) -> Iterator[str]:
    from sidestream_contracts.times import shown

    if not found:
        yield "Nothing is out of order."
    for each in found:
        yield f"{each.severity.upper()}  {each.finding}  {each.state}"
        yield f"  {each.sentence} Since {shown(each.since_at.replace(microsecond=0), zone)}."
        yield f"  To do: {each.remedy}"
        if each.state == "shelved" and each.shelved_until is not None:
            until = shown(each.shelved_until.replace(microsecond=0), zone)
            yield f"  Shelved until {until} by {each.shelved_by}: {each.shelved_why}"
        elif each.acknowledged_at is not None:
            why = f": {each.acknowledged_why}" if each.acknowledged_why else ""
            yield f"  Acknowledged by {each.acknowledged_by}{why}"
    for act in done:
        at = shown(act.done_at.replace(microsecond=0), zone)
        until = f" until {shown(act.until_at, zone)}" if act.until_at else ""
        yield f"  {at}: {act.action}{until} {act.finding} by {act.author}" + (f": {act.reason}" if act.reason else "")

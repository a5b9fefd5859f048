"""`sidestream quarantine …`: what could not be used, in words, and what can be done about it."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from sidestream_app import quarantine_text as text
from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.ids import unknown
from sidestream_contracts.reasons import REASONS

if TYPE_CHECKING:
    from sidestream_app.mend import Change
    from sidestream_contracts.messages import AnnouncedSensor
    from sidestream_store.quarantine.entries import Entry, Selection
    from sidestream_store.quarantine.resolve import Outcome
    from sidestream_store.read.pool import Pool

Answer = TypeVar("Answer")
Device = Annotated[str | None, Parameter(help="Only of this device, by its id or as hub/party/device.")]
ReasonCode = Annotated[str | None, Parameter(name="--reason", help="Only of this reason, e.g. unknown_sensor.")]
By = Annotated[str | None, Parameter(help="Who does it; stays on record. Default: the login name.")]


def list_(
    *,
    dsn: Dsn,
    device: Device = None,
    reason: ReasonCode = None,
    state: Annotated[Literal["open", "replayed", "discarded", "any"], Parameter(help="Only in this state.")] = "open",
    as_json: AsJson = False,
) -> int:
    """What lies in quarantine, one line for each device and reason, newest first.

    `#12` is the newest entry of the line: `sidestream quarantine explain 12` says in words what is wrong with it.
    """
    from sidestream_store.read import quarantine as read

    _known(reason)
    wanted = read.Filter(device, reason, None if state == "any" else state)

    async def ask(pool: Pool) -> tuple[Sequence[read.Group], str]:
        return await read.groups(pool, wanted), await _zone(pool)

    groups, zone = _ask(dsn, ask)
    if as_json:
        _print_json({"groups": [asdict(group) for group in groups]})
    else:
        print("\n".join(text.group_lines(groups, zone)))
    return 0


def show(quarantine_id: int, /, *, dsn: Dsn, as_json: AsJson = False) -> int:
    """One entry as it came: times, topic, properties, the message as text or hex, and its readings where it is a frame.

    Parameters
    ----------
    quarantine_id
        Number of the entry, as `list` shows it.
    """
    from sidestream_store.read import quarantine as read

    async def ask(pool: Pool) -> tuple[Entry, read.Item, list[read.Action], str]:
        item = await read.item(pool, quarantine_id)
        whole, actions = await read.whole(pool, quarantine_id), await read.actions(pool, 50, quarantine_id)
        return whole, item, actions, await _zone(pool)

    entry, item, actions, zone = _ask(dsn, ask)
    if as_json:
        raw = {"raw_text": text.shown_text(entry.raw), "raw_hex": entry.raw.hex(), "properties": entry.properties}
        _print_json({**asdict(item), **raw, "actions": [asdict(action) for action in actions]})
    else:
        print("\n".join(text.entry_lines(entry, item, actions, zone)))
    return 0


def explain(quarantine_id: int, /, *, dsn: Dsn, as_json: AsJson = False) -> int:
    """What came, why it could not be used, and what to do about it, with the very commands.

    Parameters
    ----------
    quarantine_id
        Number of the entry, as `list` shows it.
    """
    from sidestream_store.quarantine.explain import explain as explained
    from sidestream_store.read import quarantine as read

    async def ask(pool: Pool) -> tuple[Entry, Mapping[str, AnnouncedSensor], read.Item, str]:
        entry, item = await read.whole(pool, quarantine_id), await read.item(pool, quarantine_id)
        return entry, await read.announced(pool, entry.device), item, await _zone(pool)

    entry, announced, item, zone = _ask(dsn, ask)
    found = explained(entry, announced, ended=text.ended(item, zone))
    if as_json:
        _print_json({"quarantine_id": quarantine_id, "reason": entry.reason, "state": entry.state, **asdict(found)})
    else:
        print("\n".join(text.explanation_lines(entry, found)))
    return 0


def mend(
    quarantine_id: int,
    /,
    *,
    dsn: Dsn,
    hub: Annotated[Path, Parameter(help="The hub.yaml to mend; comments and layout stay.")],
    set_: Annotated[
        list[str] | None, Parameter(name="--set", help="What nobody has said, e.g. --set stream=heat --set unit=kW.")
    ] = None,
    yes: Annotated[bool, Parameter(negative=(), help="Don't ask.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Write the line that is missing into hub.yaml, check it, apply it, and take over what has become usable.

    For an unknown sensor or device the line is added; for a wrong unit the sensor's unit is mapped (`sent_unit`). The
    change is shown first. A file that would not be well-formed, or that can't be applied, is left as it was.

    Parameters
    ----------
    quarantine_id
        Number of the entry, as `list` shows it.
    """
    from sidestream_app.mend import plan, put_into_force
    from sidestream_ingest.replay import replay_at
    from sidestream_store.hub_apply import apply_hub
    from sidestream_store.quarantine.entries import Selection
    from sidestream_store.quarantine.resolve import record_mend
    from sidestream_store.read import quarantine as read

    async def ask(pool: Pool) -> tuple[Entry, Mapping[str, AnnouncedSensor]]:
        entry = await read.whole(pool, quarantine_id)
        return entry, await read.announced(pool, entry.device)

    entry, announced = _ask(dsn, ask)
    change = plan(entry, announced, hub, _answers(set_ or ()))
    if not _agreed(change, dsn, yes=yes):
        print("Nothing was changed.", file=sys.stderr)
        return 1
    put_into_force(change, lambda mended: apply_hub(dsn, mended, hub.parent))
    author = by or getpass.getuser()
    record_mend(dsn, entry, author, f"{change.words} ({hub.name})")
    selection = Selection(device=entry.device, reason=entry.reason, sensor=entry.sensor)
    outcomes = replay_at(dsn, selection, author, _progress)
    return _tell(outcomes, as_json, mended=change.words)


def _agreed(change: Change, dsn: str, *, yes: bool) -> bool:
    """Shows the change on stderr and asks, unless told not to; ConfigurationError where nobody is there to answer."""
    from sidestream_store.hub_apply import apply_hub

    print(change.diff(), end="", file=sys.stderr)
    others = apply_hub(dsn, change.hub, change.path.parent, dry_run=True)
    for sign, names in (("+", others.added), ("~", others.changed), ("-", others.removed)):
        for name in names:
            print(f"in the database: {sign} {name}", file=sys.stderr)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError("Nobody is there to answer whether to do this; add --yes to do it unasked.")
    print("Write it, apply it and replay? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "j", "ja")


def _answers(pairs: Sequence[str]) -> dict[str, str]:
    answers = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not value:
            raise ConfigurationError(f"--set {pair!r} must be key=value, such as stream=heat.")
        answers[key.strip()] = value.strip()
    return answers


def replay(
    *quarantine_ids: int,
    dsn: Dsn,
    reason: ReasonCode = None,
    device: Device = None,
    sensor: Annotated[str | None, Parameter(help="Only of this sensor.")] = None,
    all_open: Annotated[bool, Parameter(negative=(), help="Everything that is open.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Check again with the hub as it is now, and take over what has become usable; once, however often it is asked.

    Each entry is checked as of the time at which it came. What can't be used even now stays open, with its reason.
    Exit code 1 if nothing could be taken over.

    Parameters
    ----------
    quarantine_ids
        Numbers of entries; or name a reason, a device, or everything open.
    """
    from sidestream_ingest.replay import replay_at
    from sidestream_store.quarantine.entries import Selection

    _known(reason)
    selection = Selection(quarantine_ids, device, reason, sensor)
    _named(selection, all_open=all_open)
    return _tell(replay_at(dsn, selection, by or getpass.getuser(), _progress), as_json)


def discard(
    *quarantine_ids: int,
    dsn: Dsn,
    reason: Annotated[str, Parameter(help="Why it is not needed; stays on record.")],
    by: Annotated[str, Parameter(help="Who decided it; stays on record.")],
    as_json: AsJson = False,
) -> int:
    """Decide that entries will not be used. They stay, marked with who, when and why, until retention takes them.

    Parameters
    ----------
    quarantine_ids
        Numbers of entries, as `list` shows them; all of them or none.
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.quarantine.entries import Selection
    from sidestream_store.quarantine.resolve import discard as discarded

    selection = Selection(quarantine_ids)
    _named(selection, all_open=False)
    with open_connection(dsn, "quarantine", autocommit=True) as connection:
        done = discarded(connection, selection, reason, by)
    if as_json:
        _print_json({"outcomes": [asdict(outcome) for outcome in done]})
    else:
        for outcome in done:
            print(f"#{outcome.quarantine_id} {outcome.reason}: discarded by {by}: {outcome.outcome}")
    return 0


def _known(reason: str | None) -> None:
    """Of a reason that was typed wrong nothing would be found, and that would read as if nothing lay there."""
    if reason is not None and reason not in REASONS:
        raise ConfigurationError(f"--reason: {unknown('reason', reason, REASONS)}.")


def _named(selection: Selection, *, all_open: bool) -> None:
    if all_open and selection.ids:
        raise ConfigurationError("Name entries or --all-open, not both.")
    if not all_open and not any((selection.ids, selection.device, selection.reason, selection.sensor)):
        raise ConfigurationError(
            "Say which entries: their numbers as `sidestream quarantine list` shows them, or for a replay --reason, "
            "--device, --sensor or --all-open."
        )


def _tell(outcomes: Sequence[Outcome], as_json: bool, mended: str | None = None) -> int:
    taken = sum(outcome.readings for outcome in outcomes)
    if as_json:
        _print_json({"mended": mended, "readings": taken, "outcomes": [asdict(outcome) for outcome in outcomes]})
    else:
        if mended:
            print(f"Mended: {mended}.")
        print("\n".join(text.outcome_lines(outcomes)))
    return 0 if taken or mended else 1


def _progress(done: int, of: int) -> None:
    if of > 20 and (done % 20 == 0 or done == of):
        print(f"replayed {done} of {of}", file=sys.stderr)


def _ask(dsn: str, question: Callable[[Pool], Awaitable[Answer]]) -> Answer:
    from sidestream_store.read.pool import open_pool

    async def ask() -> Answer:
        async with open_pool(dsn, "quarantine", size=1) as pool:
            return await question(pool)

    return asyncio.run(ask())


async def _zone(pool: Pool) -> str:
    """The hub's time zone; UTC while no hub is applied."""
    from sidestream_store.read.hub import hub_record

    hub = await hub_record(pool)
    return hub.timezone if hub else "UTC"


def _print_json(body: Mapping[str, Any]) -> None:
    print(json.dumps(body, default=_plain, ensure_ascii=True))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise DomainError(f"{type(value).__name__} has no place in JSON.")

"""Quarantine as lines of text for a person at a terminal. Nothing that a device sent can steer the terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sidestream_contracts.reasons import reason
from sidestream_contracts.times import shown
from sidestream_store.quarantine.entries import Entry
from sidestream_store.quarantine.explain import Explanation, as_text, decoded
from sidestream_store.quarantine.resolve import Outcome
from sidestream_store.read.quarantine import Action, Group, Item

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_READINGS, _CHARACTERS, _BYTES, _OUTCOMES = 20, 2000, 256, 20


def at(moment: datetime, zone: str) -> str:
    """A time in the hub's zone, and UTC."""
    return shown(moment.replace(microsecond=0), zone)


def safe(text: str) -> str:
    """The text with everything escaped that is no printable character."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown_text(raw: bytes) -> str | None:
    """The message as text, or None where it is none."""
    return as_text(raw)


def group_lines(groups: Sequence[Group], zone: str) -> Iterator[str]:
    """A table of the groups, each with what of it is only counted."""
    if not groups:
        yield "Nothing lies in quarantine."
        return
    rows = [("newest", "state", "device", "reason", "messages", "readings", "last")]
    rows += [
        (
            f"#{g.newest_id}",
            g.state,
            safe(g.device) or "(unreadable)",
            f"{g.reason} {_sensors(g)}".strip(),
            f"{g.messages}",
            f"{g.readings}",
            at(g.last_at, zone),
        )
        for g in groups
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(7)]
    for row, group in zip(rows, [None, *groups], strict=True):
        cells = (
            cell.rjust(w) if n in (4, 5) else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
        if group and group.counted_messages:
            yield (
                f"{'':{widths[0]}}  of these {group.counted_messages} messages with {group.counted_readings} readings are "
                "only counted; the first and the last hundred are kept"
            )
    if any(g.state == "open" for g in groups):
        first = next(g for g in groups if g.state == "open")
        yield ""
        yield f"What to do about the newest: sidestream quarantine explain {first.newest_id}"


def _sensors(group: Group) -> str:
    if not group.a_sensor:
        return ""
    return group.a_sensor if group.sensors == 1 else f"{group.a_sensor} and {group.sensors - 1} more"


def entry_lines(entry: Entry, item: Item, actions: Sequence[Action], zone: str) -> Iterator[str]:
    """Everything about one entry."""
    yield f"#{entry.quarantine_id} {entry.reason}, {entry.state}"
    yield f"  {safe(entry.detail)}"
    yield f"  device    {safe(entry.device) or '(unreadable)'}"
    if entry.sensor:
        yield f"  sensor    {entry.sensor}"
    yield f"  topic     {safe(entry.topic)}"
    often = (
        f"once, {at(entry.first_at, zone)}"
        if entry.count == 1
        else f"{entry.count} times, {at(entry.first_at, zone)} to {at(entry.last_at, zone)}"
    )
    yield f"  came      {often}"
    yield f"  readings  {entry.readings}"
    if item.from_id:
        yield f"  left over from #{item.from_id}, which was replayed"
    for name, value in entry.properties:
        yield f"  {safe(name)[:20]:9} {safe(value)[:100]}"
    yield from _message_lines(entry)
    for action in reversed(actions):
        yield f"  {at(action.at, zone)}  {safe(action.author)}: {action.action}: {safe(action.outcome)}"


def _message_lines(entry: Entry) -> Iterator[str]:
    if entry.counted_only:
        yield "  only counted: no bytes are kept"
        return
    frame = decoded(entry.raw)
    if frame is not None:
        yield from _reading_lines(frame)
    cut = f", of which the first {len(entry.raw)} are kept" if entry.cut else ""
    text = as_text(entry.raw)
    if text is not None:
        yield f"  message   {entry.raw_bytes} bytes{cut}:"
        yield f"    {safe(text[:_CHARACTERS])}{' …' if len(text) > _CHARACTERS else ''}"
    else:
        yield f"  message   {entry.raw_bytes} bytes{cut}, not text; in hex:"
        begins = entry.raw[:_BYTES].hex(" ")
        yield from textwrap.wrap(begins, 16 * 3, initial_indent="    ", subsequent_indent="    ")
        if len(entry.raw) > _BYTES:
            yield "    …"


def _reading_lines(frame: dict[str, Any]) -> Iterator[str]:
    names, columns = frame.get("sensors"), [frame.get(key) for key in ("i", "t", "val", "q")]
    if not isinstance(names, list) or not all(isinstance(column, list) for column in columns):
        return
    rows = list(zip(*columns, strict=False))
    for index, t, value, quality in rows[:_READINGS]:
        is_place = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(names)
        name = names[index] if is_place else f"i={index!r}"
        yield f"    {safe(str(name))[:40]:16} {_moment(t):27} {safe(repr(value))[:60]}  q={safe(repr(quality))[:10]}"
    if len(rows) > _READINGS:
        yield f"    … and {len(rows) - _READINGS} more"


def _moment(t: object) -> str:
    """A time in µs as ISO 8601, UTC; whatever is none, as it came."""
    if not isinstance(t, int) or isinstance(t, bool):
        return safe(repr(t))[:27]
    try:
        return (_UNIX + timedelta(microseconds=t)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return str(t)[:27]


def ended(item: Item, zone: str) -> str | None:
    """How the entry ended, or None while it is open."""
    if item.closed_at is None:
        return None
    return f"{item.state} by {item.closed_by} at {at(item.closed_at, zone)}: {item.closed_why}"


def explanation_lines(entry: Entry, found: Explanation) -> Iterator[str]:
    """The explanation, and the commands to type."""
    yield f"#{entry.quarantine_id} {entry.reason}, {entry.state}"
    parts = [("What came", found.came), ("Why it could not be used", found.why), ("What the hub said", found.detail)]
    parts += [("How it ended", found.ended)] if found.ended else [("What to do", found.todo)]
    for title, words in parts:
        yield f"{title}:"
        yield from textwrap.wrap(safe(words), 110, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
    if found.snippet and not found.ended:
        yield "Line for hub.yaml:"
        yield f"  {found.snippet}"
    if found.commands:
        yield "Commands:"
        yield from (f"  {command}" for command in found.commands)


def outcome_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What became of each entry, the same outcome of many told once."""
    told: dict[tuple[str, str | None, str], list[Outcome]] = {}
    for outcome in outcomes:
        told.setdefault((outcome.reason, outcome.sensor, outcome.outcome), []).append(outcome)
    if not told:
        yield "Nothing open is meant by that."
        return
    for (code, sensor, words), group in list(told.items())[:_OUTCOMES]:
        number = f"#{group[0].quarantine_id}" + (f" and {len(group) - 1} more" if len(group) > 1 else "")
        each = ", each" if len(group) > 1 else ""
        yield f"{number} {code}{f' {sensor}' if sensor else ''}{each}: {safe(words)}"
    if len(told) > _OUTCOMES:
        yield f"… and {sum(map(len, told.values())) - sum(len(g) for g in list(told.values())[:_OUTCOMES])} more"
    yield from _summary(outcomes)


def _summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    states = Counter(outcome.state for outcome in outcomes)
    left = Counter[str]()
    for outcome in outcomes:
        left.update(dict(outcome.left))
    taken, stay = sum(outcome.readings for outcome in outcomes), states["open"]
    anew = sum(len(outcome.left) for outcome in outcomes if outcome.state == "replayed")
    more = f" and {_number(anew, 'new one is', 'new ones are')}" if anew else ""
    yield (
        f"{_number(taken, 'reading')} taken over from {_number(states['replayed'], 'entry', 'entries')}; "
        f"{_number(stay, 'entry stays', 'entries stay')}{more} open."
    )
    for code, count in left.most_common(5):
        yield f"Still not usable: {_number(count, 'reading')}, {code}: {reason(code).todo}"


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"

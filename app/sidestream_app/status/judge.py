"""What the plant's state means: pure rules from what was read to lines with reasons and remedies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sidestream_app.status.line import Level, Line, ago, duration, size
from sidestream_store.read.plant import (
    DeviceState,
    FindingState,
    Plant,
    QuarantineState,
    StorageState,
    TwinState,
    WorkerState,
)

_BACKLOG = 5_000
_OLD_PASS_S = 120.0
_FULL = 0.5
_PARTITIONS_AHEAD = timedelta(days=2)
_NAMED = 4


def judge(plant: Plant) -> Iterator[Line]:
    """One line for each part of the plant that the database knows of."""
    yield Line(
        "database",
        "ok",
        f"PostgreSQL {plant.server_version} answers in {plant.answer_s * 1000:.0f} ms",
    )
    if plant.hub is None:
        yield Line("hub", "broken", "no hub is applied to this database", "sidestream hub apply hub.yaml")
    yield ingest(plant.workers, plant.now_at)
    yield flows(plant.workers, plant.now_at)
    yield twin(plant.twin, plant.storage, plant.now_at)
    yield findings(plant.findings)
    yield devices(plant.devices, plant.now_at)
    yield quarantine(plant.quarantine, plant.now_at)
    yield storage(plant.storage, plant.now_at)


def ingest(workers: Sequence[WorkerState] | None, now_at: datetime) -> Line:
    """Whether somebody takes in what gateways send, and keeps up."""
    if workers is None:
        return _unread("ingest")
    alive = [w for w in workers if w.kind == "ingest" and w.alive]
    if not alive:
        return Line("ingest", "broken", f"no worker is running{_last_seen(workers, 'ingest', now_at)}",
                    "start one: `sidestream ingest run`; its log says why it ended. Gateways keep their readings meanwhile")  # fmt: skip
    text = f"{_count(len(alive), 'worker')}, {sum(w.figures.get('readings_per_s') or 0 for w in alive):.0f} readings/s"
    text += f"{_last_commit(alive, now_at)}{_heard(alive, now_at)}"
    return _ingest_trouble(workers, alive, text, now_at) or Line("ingest", "ok", text)


def _ingest_trouble(
    workers: Sequence[WorkerState], alive: Sequence[WorkerState], text: str, now_at: datetime
) -> Line | None:
    cut = [w for w in alive if not w.figures.get("broker_connected")]
    if cut:
        brokers = _several(sorted({str(w.figures.get("broker")) for w in cut}))
        level: Level = "broken" if len(cut) == len(alive) else "attention"
        return Line("ingest", level, f"{text}; {_count(len(cut), 'worker')} without the broker {brokers}",
                    "is the broker running, and does it let this login in? See the worker's log")  # fmt: skip
    if full := sum(w.figures.get("queue_full_lately") or 0 for w in alive):
        return Line("ingest", "attention", f"{text}; the queue was full {full} times in the last seconds",
                    "ingest does not keep up: start another worker with the same settings. Nothing is lost")  # fmt: skip
    if len({w.version for w in alive}) > 1:
        return Line("ingest", "attention", f"{text}; workers of different versions: {_several(sorted({w.version for w in alive}))}",
                    "restart the older ones")  # fmt: skip
    if lost := [w for w in workers if w.kind == "ingest" and not w.alive and not _replaced(w, alive)]:
        return Line("ingest", "attention", f"{text}; {_count(len(lost), 'worker')} ended without a word, last seen {ago(lost[-1].seen_at, now_at)}",
                    f"see the log of process {lost[-1].pid} on {lost[-1].host}; the others do its work")  # fmt: skip
    return None


def flows(workers: Sequence[WorkerState] | None, now_at: datetime) -> Line:
    """Whether somebody computes the twin's figures."""
    if workers is None:
        return _unread("flows")
    alive = [w for w in workers if w.kind == "flows" and w.alive]
    if not alive:
        return Line("flows", "broken", f"no flows process is running{_last_seen(workers, 'flows', now_at)}: figures grow old",
                    "start it: `sidestream flows run`; its log says why it ended")  # fmt: skip
    text = f"{_count(len(alive), 'process', 'processes')}, last pass {alive[-1].figures.get('last_pass_s') or 0:.2g} s"
    text += _heard(alive, now_at)
    if trouble := next((str(w.figures["trouble"]) for w in alive if w.figures.get("trouble")), None):
        return Line("flows", "attention", f"{text}; {trouble}", "see the log of `sidestream flows run`")
    return Line("flows", "ok", text)


def twin(state: TwinState | None, stored: StorageState | None, now_at: datetime) -> Line:
    """Whether the figures on the page are those of now."""
    if state is None or stored is None:
        return _unread("twin")
    waits = f"{stored.dirty_ranges}{'+' if stored.dirty_ranges >= 100_000 else ''} changes wait"
    if state.computed_at is None:
        level: Level = "attention" if stored.dirty_ranges else "ok"
        return Line(
            "twin", level, f"no figures yet; {waits}", "is the flows process running?" if stored.dirty_ranges else ""
        )
    text = f"{state.figures} figures, newest {ago(state.computed_at, now_at)}; {waits}"
    if stored.dirty_ranges > _BACKLOG:
        return Line("twin", "attention", text, "a backlog is being computed; if it does not shrink, see the flows' log")
    if stored.dirty_ranges and (now_at - state.computed_at).total_seconds() > _OLD_PASS_S:
        return Line(
            "twin",
            "attention",
            f"{text}, and nothing is computed",
            "see the flows' log; by hand: `sidestream twin update`",
        )
    if state.stale:
        return Line(
            "twin",
            "attention",
            f"{text}; {state.stale} are stale",
            "their sensors are silent: see devices, and the live page",
        )
    return Line("twin", "ok", text)


def findings(state: FindingState | None) -> Line:
    """Whether the twin has raised something that nobody has acknowledged or shelved."""
    if state is None:
        return _unread("findings")
    aside = [f"{n} {word}" for n, word in ((state.acknowledged, "acknowledged"), (state.shelved, "shelved")) if n]
    counts = [
        _count(n, word)
        for n, word in ((state.alarms, "alarm"), (state.warnings, "warning"), (state.notes, "note"))
        if n
    ]
    text = "; ".join([", ".join(counts) or "nothing new", *([", ".join(aside)] if aside else [])])
    if not state.alarms and not state.warnings:
        return Line("findings", "ok", text)
    return Line("findings", "attention", f"{text}; {state.a_finding}: {state.a_sentence}", "sidestream twin findings")


def devices(found: Sequence[DeviceState] | None, now_at: datetime) -> Line:
    """Whether every gateway is there and can give away what it measures; people are never away."""
    if found is None:
        return _unread("devices")
    if not found:
        return Line(
            "devices", "attention", "hub.yaml names no device", "add them under `devices:`, then `sidestream hub apply`"
        )
    gateways = [d for d in found if d.state != "manual"]
    people = f"{_count(len(found) - len(gateways), 'device')} of kind manual, where people enter figures"
    if not gateways:
        return Line("devices", "ok", f"no gateway; {people}")
    online = [d for d in gateways if d.state == "online"]
    text = f"{len(online)} of {len(gateways)} online" + (f"; {people}" if len(found) > len(gateways) else "")
    away = [d for d in gateways if d.state != "online"]
    if away:
        names = _several([f"{d.device} ({_since(d, now_at)})" for d in away])
        return Line("devices", "attention" if online else "broken", f"{text}; not there: {names}",
                    "on the gateway: is the agent running? Power, network, broker login, in this order")  # fmt: skip
    if troubles := [trouble for device in online for trouble in device_troubles(device)]:
        return Line(
            "devices",
            "attention",
            f"{text}; {_several(troubles)}",
            "see the device on the live page, and its agent's log",
        )
    return Line("devices", "ok", text)


def device_troubles(device: DeviceState) -> Iterator[str]:
    """What a gateway that is online tells of its own troubles."""
    body = device.body or {}
    held, refused = body.get("held") or {}, body.get("refused") or {}
    if held:
        yield f"{device.device} takes nothing of lane {' and '.join(held)}: {' and '.join(sorted(set(held.values())))}"
    if sum(refused.values()):
        yield f"{device.device} dropped {sum(refused.values())} readings since its start ({', '.join(refused)})"
    waiting, limit = body.get("outbox_bytes") or 0, body.get("outbox_limit_bytes") or 0
    if limit and waiting > _FULL * limit and not held:
        yield f"{device.device}'s outbox is {100 * waiting / limit:.0f} % full ({size(waiting)} of {size(limit)})"
    if body.get("parked"):
        yield f"{device.device} keeps {body['parked']} frames that the broker would not carry"
    for driver in body.get("drivers") or []:
        if driver.get("state") in ("failed", "hung"):
            yield f"{device.device}: driver {driver.get('id')} {driver['state']}: {driver.get('error') or 'no reason told'}"
        elif driver.get("trouble"):
            yield f"{device.device}: driver {driver.get('id')}: {driver['trouble']}{_last_good(driver)}"


def _last_good(driver: dict[str, Any]) -> str:
    at = driver.get("last_good_at")
    return f" Last good {str(at)[:16].replace('T', ' ')} UTC." if at else " Never yet good."


def quarantine(state: QuarantineState | None, now_at: datetime) -> Line:
    """Whether something could not be used and waits for somebody."""
    if state is None:
        return _unread("quarantine")
    if state.newest_at is None:
        return Line("quarantine", "ok", "nothing is open")
    what = f"{state.readings} readings in {state.messages} messages are open; the newest {ago(state.newest_at, now_at)}"
    return Line("quarantine", "attention", f"{what}, from {state.newest_device or 'an unknown sender'}: {state.newest_reason}",
                "`sidestream quarantine list`, then `explain`; nothing of it is lost")  # fmt: skip


def storage(state: StorageState | None, now_at: datetime) -> Line:
    """Whether there is a place for what comes next."""
    if state is None:
        return _unread("storage")
    text = f"{state.profile} profile, {size(state.database_bytes)}"
    if state.profile == "timescale":
        return Line("storage", "ok", text)
    if state.partitions_until is None or state.partitions_until < now_at + _PARTITIONS_AHEAD:
        until = f"until {state.partitions_until:%Y-%m-%d}" if state.partitions_until else "not made yet"
        return Line("storage", "attention", f"{text}; partitions {until}",
                    "the flows process makes them every hour; ingest makes what it needs, so nothing is lost")  # fmt: skip
    return Line("storage", "ok", f"{text}; partitions until {state.partitions_until:%Y-%m-%d}")


def _unread(subject: str) -> Line:
    return Line(
        subject,
        "attention",
        "could not be read within a second: the database is busy",
        "try again; if it stays so, see its log",
    )


def _replaced(lost: WorkerState, alive: Iterable[WorkerState]) -> bool:
    """Whether a worker has come up since that one was last seen: it was restarted, and all is well."""
    return any(worker.started_at >= lost.seen_at - timedelta(seconds=10) for worker in alive)


def _last_seen(workers: Iterable[WorkerState], kind: str, now_at: datetime) -> str:
    gone = [w for w in workers if w.kind == kind]
    return f"; process {gone[-1].pid} on {gone[-1].host} was last seen {ago(gone[-1].seen_at, now_at)}" if gone else ""


def _last_commit(alive: Iterable[WorkerState], now_at: datetime) -> str:
    found = [datetime.fromisoformat(at) for w in alive if (at := w.figures.get("last_commit_at"))]
    return f", last commit {ago(max(found), now_at)}" if found else ", nothing committed yet"


def _heard(alive: Sequence[WorkerState], now_at: datetime) -> str:
    """How old the oldest heartbeat of those is that count as running."""
    return f", heartbeat {ago(min(w.seen_at for w in alive), now_at)}"


def _since(device: DeviceState, now_at: datetime) -> str:
    if device.received_at is None:
        return "never seen"
    return f"{device.state} for {duration((now_at - device.received_at).total_seconds())}"


def _several(texts: Sequence[str]) -> str:
    rest = len(texts) - _NAMED
    return "; ".join(texts[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"

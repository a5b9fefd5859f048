"""What an agent's state means: pure rules from what it tells of itself to lines with reasons and remedies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sidestream_app.status.line import Line, ago, duration, size
from sidestream_contracts.messages import DriverStatus, LaneStatus, Status

_OLD_S = 60.0


def judge(state: dict[str, Any], now_at: datetime) -> Iterator[Line]:
    """One line for agent, broker, hub, outbox and clock, then one for each driver."""
    status = Status.model_validate(state["status"])
    started_at = datetime.fromisoformat(state["started_at"])
    yield Line(
        "agent", "ok", f"{status.agent}, process {state['pid']}, running for {duration(_since_s(started_at, now_at))}"
    )
    yield _broker(state["broker"], status)
    yield _hub(state["hub"], status, now_at)
    yield outbox(status, now_at)
    yield _clock(state["hub"], status)
    for driver in status.drivers:
        yield device(driver, now_at)


def _broker(broker: dict[str, Any], status: Status) -> Line:
    if broker["connected"]:
        wrong = next((text for text in _trouble(status) if text.startswith("The broker")), None)
        text = f"connected to {broker['address']}"
        if wrong is None:
            return Line("broker", "ok", text)
        return Line("broker", "attention", f"{text}, but: {wrong}", "sidestream edge check edge.yaml")
    why = next((text for text in _trouble(status) if "broker" in text), "no reason is known yet")
    return Line("broker", "broken", f"not connected to {broker['address']}: {why}",
                "is it running, is the network there, does it know this login? Readings are kept meanwhile")  # fmt: skip


def _hub(hub: dict[str, Any], status: Status, now_at: datetime) -> Line:
    waits = sum(lane.frames for lane in status.outbox)
    oldest_at = min((lane.oldest_at for lane in status.outbox if lane.oldest_at), default=now_at)
    at = datetime.fromisoformat(hub["acknowledged_at"]) if hub["acknowledged_at"] else None
    said = (
        f"last said {ago(at, now_at)} that readings are committed" if at else "has acknowledged nothing since the start"
    )
    if hub["refused"]:
        first = hub["refused"][-1]
        return Line("hub", "attention", f"{said}; it can't use {_named(hub['refused'])}: {first['reason']}: {first['text']}",
                    "they lie in quarantine at the hub and can be replayed there (docs/quarantine.md)")  # fmt: skip
    if waits and _since_s(oldest_at, now_at) > _OLD_S:
        return Line("hub", "attention", f"{said}; the oldest frame has waited for {duration(_since_s(oldest_at, now_at))}",
                    "if the broker is connected: is an ingest worker running at the hub? See `sidestream status` there")  # fmt: skip
    return Line("hub", "ok", said)


def outbox(status: Status, now_at: datetime) -> Line:
    """What waits, and whether something is not taken any more."""
    used, limit = status.outbox_bytes or 0, status.outbox_limit_bytes or 0
    text = f"{_frames(status.outbox, now_at)}; {size(used)} of {size(limit)}"
    if status.held:
        refused = sum(status.refused.values())
        return Line("outbox", "broken", f"{text}; nothing is taken of lane {' and '.join(status.held)}, {refused} readings dropped",
                    next((t for t in _trouble(status) if "utbox" in t or "disk" in t), "free the disk, or bring the hub back"))  # fmt: skip
    if aside := next((t for t in _trouble(status) if "moved aside" in t), None):
        return Line(
            "outbox", "attention", f"{text}. {aside}", "keep that file and ask for help; said until the next start"
        )
    if status.parked:
        return Line("outbox", "attention", f"{text}; {status.parked} frames are larger than the broker takes and kept apart",
                    "raise the broker's max_packet_size, or lower framing.max_readings")  # fmt: skip
    if status.refused:
        dropped = ", ".join(f"{count} {reason}" for reason, count in status.refused.items())
        return Line("outbox", "attention", f"{text}; readings dropped since the start: {dropped}",
                    "see docs/metrics.md, Back-pressure, for what each reason means")  # fmt: skip
    return Line("outbox", "ok", text)


def _clock(hub: dict[str, Any], status: Status) -> Line:
    if off := next((text for text in _trouble(status) if "clock is" in text), None):
        return Line("clock", "broken", off, "readings with such times go to quarantine until it is right")
    against = f", {abs(hub['clock_off_s']):.1f} s off the hub's" if hub["clock_off_s"] is not None else ""
    if status.sync == "unsynced":
        return Line("clock", "attention", f"not kept right by NTP or PTP{against}",
                    "timedatectl set-ntp true, or install chrony; readings are marked as unsynchronised")  # fmt: skip
    return Line(
        "clock",
        "ok",
        f"{'kept right by NTP or PTP' if status.sync == 'synced' else 'synchronisation unknown'}{against}",
    )


def device(driver: DriverStatus, now_at: datetime) -> Line:
    """Whether a driver reads its device: polls done of those due, last good time, what is wrong."""
    due, done = driver.counters.get("polls_due"), driver.counters.get("polls_done", 0)
    parts = [f"{driver.type}, {driver.state}"]
    if due:
        parts.append(f"{done} of {due} polls done")
    if driver.state != "finished":
        parts.append(f"last good {ago(driver.last_good_at, now_at)}" if driver.last_good_at else "never yet good")
    if driver.restarts:
        parts.append(f"{driver.restarts} restarts")
    if dropped := driver.counters.get("dropped"):
        parts.append(f"{dropped} dropped")
    text = "; ".join(parts)
    if driver.state in ("failed", "hung"):
        return Line(driver.id, "broken", f"{text}: {driver.trouble or driver.error}", "it is started again by itself")
    if driver.trouble:
        return Line(driver.id, "attention", f"{text}: {driver.trouble}", "sidestream edge check edge.yaml")
    if driver.error:
        text += f"; last fault in the data: {driver.error}"
    return Line(driver.id, "ok", text)


def _frames(lanes: Sequence[LaneStatus], now_at: datetime) -> str:
    waiting = [lane for lane in lanes if lane.frames]
    if not waiting:
        return "nothing waits"
    return ", ".join(
        f"{lane.frames} frames of lane {lane.lane} wait"
        + (f" (oldest {duration(_since_s(lane.oldest_at, now_at))})" if lane.oldest_at else "")
        for lane in waiting
    )


def asleep(lanes: Sequence[LaneStatus], now_at: datetime) -> Line:
    """What an outbox holds whose agent does not run."""
    return Line("outbox", "attention" if any(lane.frames for lane in lanes) else "ok", _frames(lanes, now_at),
                "it is sent as soon as the agent runs again" if any(lane.frames for lane in lanes) else "")  # fmt: skip


def _named(refused: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(entry["sensor"] or "a whole message" for entry in refused))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _trouble(status: Status) -> list[str]:
    return [str(text) for text in (status.model_extra or {}).get("trouble", [])]


def _since_s(at: datetime, now_at: datetime) -> float:
    return max(0.0, (now_at - at).total_seconds())

"""The way of a value from the file to the database row, step by step, and where it ends. Pure.

config → clock → driver → device → value → unit → broker → hub → row. A step that is broken ends the way of its driver or
sensor; what comes after it is not told. Only values that came of a device in trouble all the same go on: one register that
is refused must not hide what the others say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sidestream_app.edge_local.unit_words import doubt
from sidestream_app.edge_local.watching import NOT_PLAYED, Seen
from sidestream_app.edge_local.words import quality_word
from sidestream_app.status.line import Level, ago
from sidestream_contracts.edge import AnyDriver, EdgeFile
from sidestream_contracts.frame import Quality
from sidestream_contracts.messages import AnnouncedSensor, DriverStatus
from sidestream_edge.drivers.diagnosis import Finding
from sidestream_edge.measurement import Reading

StepName = Literal["config", "clock", "driver", "device", "value", "unit", "broker", "hub", "row"]
_FUTURE_YEARS = 15
_MANY_ENDS = 2
_PROBED = ("modbus", "opcua", "llrp")
"""Types of driver whose devices `sidestream edge probe` can ask."""


@dataclass(frozen=True, slots=True)
class Step:
    """How one step went for what `about` names; `more` are further lines, such as what registers could also mean."""

    step: StepName
    about: str
    level: Level
    text: str
    todo: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """The newest row of a sensor in the database."""

    time: datetime
    value: float | None
    code: str | None
    unit: str
    received_at: datetime


def walk(edge: EdgeFile, seen: Seen, rows: Mapping[str, Row] | None, now_at: datetime) -> Iterator[Step]:
    """Every step of every driver and sensor, in the order of the way."""
    expected: list[tuple[AnyDriver, AnnouncedSensor]] = []
    told = {status["id"]: DriverStatus.model_validate(status) for status in seen.state["status"]["drivers"]}
    for driver in edge.drivers:
        for step in _at_device(driver, told.get(driver.id), seen, now_at):
            yield step
            if step.step == "device":
                sensors = _announced(driver, seen)
                expected += [(driver, one) for one in sensors if step.level != "broken" or seen.has_value(one.id)]
    measured = []
    for driver, sensor in expected:
        step = _value(told.get(driver.id), sensor, seen.findings.get(driver.id, ()), seen)
        yield step
        if step.level != "broken" and sensor.id in seen.passed:
            measured.append(sensor)
    yield from (_unit(sensor) for sensor in measured)
    broker = _broker(edge, seen)
    yield broker
    if broker.level == "broken":
        return
    hub = _hub(seen, now_at)
    yield hub
    if hub.level != "broken":
        yield from (_row(sensor, seen, rows, now_at) for sensor in measured)


def _at_device(driver: AnyDriver, status: DriverStatus | None, seen: Seen, now_at: datetime) -> Iterator[Step]:
    if driver.type in NOT_PLAYED and status is None:
        yield Step("driver", driver.id, "ok", f"{driver.type}: a recorded file is not played for a check")
        return
    step = _driver(driver, status)
    yield step
    if status is not None and step.level != "broken":
        yield _device(driver, status, seen, now_at)


def clock(now_at: datetime, known_at: datetime, seen_off: str | None = None) -> Step:
    """Whether the time of day can be true: after `known_at`, when this machine wrote a file, and near the hub's."""
    if seen_off is not None:
        return Step("clock", "gateway", "broken", seen_off)
    if now_at < known_at - timedelta(days=1):
        return Step("clock", "gateway", "broken", f"it says {now_at:%Y-%m-%d %H:%M} UTC, but a file of this machine is from {known_at:%Y-%m-%d}",
                    "set it and keep it right by NTP (timedatectl set-ntp true); readings carry its time")  # fmt: skip
    if now_at.year > known_at.year + _FUTURE_YEARS:
        return Step("clock", "gateway", "broken", f"it says {now_at:%Y-%m-%d}, {now_at.year - known_at.year} years after anything on this machine was written",
                    "set it and keep it right by NTP (timedatectl set-ntp true); readings carry its time")  # fmt: skip
    return Step("clock", "gateway", "ok", f"{now_at:%Y-%m-%d %H:%M:%S} UTC")


def is_decided(edge: EdgeFile, seen: Seen, settle_s: float) -> bool:
    """Whether waiting longer would tell nothing new: each sensor is committed or refused, or stopped at an earlier step.

    Never before half of `settle_s`.
    """
    if not seen.state or seen.waited_s < settle_s / 2:  # time enough to be thrown off by a double
        return False
    told = {status["id"]: status for status in seen.state["status"]["drivers"]}
    for driver in edge.drivers:
        status = told.get(driver.id)
        if status is None or (status["trouble"] and seen.waited_s > settle_s):
            continue
        sensors = _announced(driver, seen)
        if not sensors and seen.waited_s < settle_s:  # a driver in a process of its own says what it has when it is up
            return False
        for sensor in sensors:
            refused = seen.refusal(sensor.id) is not None  # it may just have been told of the sensor: hear it again
            if not (seen.waited_s > settle_s if refused else seen.committed(sensor.id)):
                return False
    return bool(told) or seen.waited_s > settle_s


def _driver(driver: AnyDriver, status: DriverStatus | None) -> Step:
    if status is None:
        return Step("driver", driver.id, "broken", "the running agent has no such driver",
                    "edge.yaml was changed since it started: restart it (systemctl restart sidestream-edge)")  # fmt: skip
    if status.state in ("failed", "hung"):
        return Step("driver", driver.id, "broken", f"{status.state}: {status.trouble or status.error}",
                    "its message says why; with a driver of another package, ask its author")  # fmt: skip
    where = " in a process of its own" if driver.isolation == "process" else ""
    return Step("driver", driver.id, "ok", f"{driver.type}, {status.state}{where}")


def _device(driver: AnyDriver, status: DriverStatus, seen: Seen, now_at: datetime) -> Step:
    wrong = [finding for finding in seen.findings.get(driver.id, ()) if finding.step != "value" and not finding.ok]
    if status.trouble is not None:
        closer = [finding.text for finding in wrong if finding.text not in status.trouble]
        probe = f"; `sidestream edge probe {driver.type}` finds what answers" if driver.type in _PROBED else ""
        return Step("device", driver.id, "broken", status.trouble, f"see the message{probe}", tuple(closer))
    polls = f"{status.counters.get('polls_done', 0)} of {status.counters['polls_due']} polls; " if status.counters.get("polls_due") else ""  # fmt: skip
    if status.last_good_at is None:
        return Step("device", driver.id, "attention", f"{polls}it has said nothing in {seen.waited_s:.0f} s",
                   "if it speaks only now and then, make it: scan a code, or check for longer with --for")  # fmt: skip
    return Step("device", driver.id, "ok", f"{polls}last good {ago(status.last_good_at, now_at)}")


def _value(status: DriverStatus | None, sensor: AnnouncedSensor, findings: Sequence[Finding], seen: Seen) -> Step:
    found = next((f for f in findings if f.step == "value" and f.sensor == sensor.id), None)
    more = found.could_mean if found is not None else ()
    passed = seen.passed.get(sensor.id)
    if passed is None:
        if found is not None and not found.ok:
            return Step("value", sensor.id, "broken", found.text, "correct its section in edge.yaml", more)
        return Step("value", sensor.id, "attention", f"nothing came of it in {seen.waited_s:.0f} s",
                    "if it speaks only now and then, make it, or check for longer with --for")  # fmt: skip
    what = passed.what
    if isinstance(what, Reading) and what.val is None:
        text = found.text if found is not None and not found.ok else _no_value(status)
        return Step("value", sensor.id, "broken", text, "correct its section in edge.yaml, or see to the sensor", more)
    unit = f" {sensor.unit}" if sensor.unit and sensor.unit != "1" else ""
    shown = (
        f"{what.val:.12g}{unit}"
        if isinstance(what, Reading) and what.val is not None
        else repr(getattr(what, "code", ""))
    )
    quality = quality_word(what.q)
    aged_s = (passed.at.timestamp() * 1e6 - what.t) / 1e6
    aged = f", measured {aged_s:.0f} s before it came" if aged_s > 60 else ""
    if found is not None and not found.ok:
        return Step(
            "value",
            sensor.id,
            "attention",
            f"{shown}, {quality}{aged}: {found.text}",
            "correct its section in edge.yaml",
            more,
        )
    return Step("value", sensor.id, "ok" if what.q == Quality.GOOD else "attention", f"{shown}, {quality}{aged}")


def _no_value(status: DriverStatus | None) -> str:
    text = "the driver gives no value, quality bad"
    return f"{text}; the last that it found wrong: {status.error}" if status is not None and status.error else text


def _unit(sensor: AnnouncedSensor) -> Step:
    if (why := doubt(sensor.unit, sensor.quantity)) is not None:
        return Step("unit", sensor.id, "attention", why, "correct it in edge.yaml")
    return Step("unit", sensor.id, "ok", f"{sensor.unit}{f' ({sensor.quantity})' if sensor.quantity else ''}")


def _broker(edge: EdgeFile, seen: Seen) -> Step:
    address = f"{edge.broker.host}:{edge.broker.port}"
    identity = next((text for text in seen.troubles if "identity" in text), None)
    if identity is not None:
        return Step("broker", address, "broken", f"two gateways have one identity ({seen.state['address']}): {identity}",
                    "find the other one; give one of them a `device` (and a login) of its own")  # fmt: skip
    if seen.ends >= _MANY_ENDS:
        return Step("broker", address, "broken", f"the connection stood and ended {seen.ends} times in {seen.waited_s:.0f} s: another client"
                    f" with the identity {seen.state['address']} throws it off, or the network is not sound",
                    "do two gateways run with one edge.yaml? Give one of them a `device` (and a login) of its own")  # fmt: skip
    if not seen.state["broker"]["connected"]:
        why = next((text for text in reversed(seen.troubles) if "broker" in text), "it has not answered yet")
        return Step("broker", address, "broken", why,
                    f"is it running, is the network there, and does it know the login {edge.broker.username or '(none)'}?")  # fmt: skip
    refused = next((text for text in seen.troubles if "will not let" in text or "refused" in text), None)
    if refused is not None:
        return Step(
            "broker", address, "broken", refused, "the host of the hub gives this login its rights (docs/operate.md)"
        )
    return Step("broker", address, "ok", "connected and subscribed")


def _hub(seen: Seen, now_at: datetime) -> Step:
    hub, name = seen.state["hub"], seen.state["address"].split("/")[0]
    at = datetime.fromisoformat(hub["acknowledged_at"]) if hub["acknowledged_at"] else None
    if at is not None and at >= seen.began_at:
        return Step("hub", name, "ok", f"acknowledged what was sent {ago(at, now_at)}")
    waits = sum(lane["frames"] for lane in seen.state["status"]["outbox"])
    if not waits and not seen.passed:
        return Step("hub", name, "attention", "nothing was measured, so nothing was sent that it could acknowledge")
    before = f" (the last one {ago(at, now_at)})" if at else ""
    return Step("hub", name, "broken", f"no acknowledgement in {seen.waited_s:.0f} s{before}; {waits} frames wait and are kept",
                "at the hub: is `sidestream ingest run` running on this broker, and is `hub:` in edge.yaml its id? `sidestream status` there")  # fmt: skip


def _row(sensor: AnnouncedSensor, seen: Seen, rows: Mapping[str, Row] | None, now_at: datetime) -> Step:
    refusal = seen.refusal(sensor.id)
    if refusal is not None:
        return Step("row", sensor.id, "broken", f"the hub keeps it in quarantine, {refusal['reason']}: {refusal['text']}",
                    "at the hub: `sidestream quarantine list`, `explain`, `mend`; nothing of it is lost (docs/quarantine.md)")  # fmt: skip
    if not seen.committed(sensor.id):
        return Step(
            "row", sensor.id, "attention", "not acknowledged yet", "wait longer with --for; it is kept until then"
        )
    if rows is None:
        return Step("row", sensor.id, "ok", "committed in the hub's database, as its acknowledgement says")
    row = rows.get(sensor.id)
    if row is None:
        return Step("row", sensor.id, "broken", "acknowledged, but this database has no row of it",
                    "is --dsn the database of this hub? If so, see `sidestream quarantine list` there")  # fmt: skip
    value = (
        row.code if row.code is not None else f"{row.value:.12g} {row.unit}" if row.value is not None else "no value"
    )
    return Step(
        "row",
        sensor.id,
        "ok",
        f"{value}, measured {row.time:%Y-%m-%d %H:%M:%S} UTC, received {ago(row.received_at, now_at)}",
    )


def _announced(driver: AnyDriver, seen: Seen) -> list[AnnouncedSensor]:
    """Those of the file, and those that the driver has met."""
    named = {sensor.id: sensor for sensor in driver.announced()}
    met: list[dict[str, Any]] = [one for one in seen.state["status"]["sensors"] if one["driver"] == driver.id]
    return list({**{one["id"]: AnnouncedSensor.model_validate(one) for one in met}, **named}.values())

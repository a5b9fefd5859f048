"""Every reason for which the hub keeps a message or reading apart, explained once: what was wrong and what to do about it.

Commands, API and docs/quarantine.md all speak from this table; a test holds it against the code that gives reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Costs = Literal["message", "status", "frame", "reading"]
Mend = Literal["sensor", "device", "unit"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `mend`: what `sidestream quarantine mend` can write into hub.yaml for it.

    `never` says why such an entry must not be replayed; empty where replaying may help once the cause is gone.
    `is_broken`: the message itself is wrong, so no change of the hub makes it usable; a replay does no harm, but isn't offered.
    """

    code: str
    costs: Costs
    why: str
    todo: str
    mend: Mend | None = None
    never: str = ""
    is_broken: bool = False


_NOT_TAKEN = "it was not acknowledged, so the edge still has it and sends it again"
_BROKEN = "Mend the sender. What already came stays as it is; look at it with `show`, then discard it."
REASONS: dict[str, Reason] = {
    reason.code: reason
    for reason in (
        Reason(
            "bad_topic",
            "message",
            "It was published on a topic that names no hub, party, device and channel.",
            "Mend the topic in the sender: sidestream/v1/<hub>/<party>/<device>/readings or /scans or /status.",
            never="nobody can tell whose it is",
        ),
        Reason(
            "bad_key",
            "message",
            "Its user properties (epoch, lane, seq, hash) are missing or malformed, so it can't be told from a repetition.",
            "Mend the sender: contracts/README.md shows a publisher of fifteen lines that does it right.",
            never=f"without a key nothing keeps it from counting twice; {_NOT_TAKEN}",
        ),
        Reason(
            "bad_status",
            "status",
            "The device's status message is not what the contract says.",
            "Mend the sender after contracts/generated/v1/status.schema.json. Its readings are not concerned.",
            never="a status is of its moment; the device sends its next one by itself",
        ),
        Reason(
            "hash_mismatch",
            "frame",
            "The payload is not what its hash says: it changed on the way, or the sender hashes other bytes than it sends.",
            "If it happens once, nothing: the good frame comes again. If always, mend the sender: hash the very bytes sent.",
            never=f"its content can't be trusted; {_NOT_TAKEN}",
        ),
        Reason(
            "key_reused",
            "frame",
            "Another frame came first under the same epoch, lane and seq: two gateways have one identity, a gateway was "
            "restored by copying a running one, or somebody forges.",
            "A single frame after a gateway was restored holds nothing new: discard it. Otherwise find the second gateway and give it a device of its own in its edge.yaml and in hub.yaml.",
            never="the first frame counts, and nothing tells which of the two is genuine; enter what is missing by hand",
        ),
        Reason(
            "parked_on_edge",
            "frame",
            "The edge holds a frame that is larger than the broker takes; this is its note, not the frame.",
            "Raise the broker's max_packet_size, or lower framing.max_readings in edge.yaml; the gateway tells where it lies.",
            never="the readings are on the edge, not here",
        ),
        Reason(
            "not_json",
            "frame",
            "The payload is not one JSON object.",
            _BROKEN,
            is_broken=True,
        ),
        Reason("not_utf8", "frame", "The payload is not text in UTF-8.", _BROKEN, is_broken=True),
        Reason(
            "duplicate_key",
            "frame",
            "A JSON object in it names one key twice, so it says two things.",
            _BROKEN,
            is_broken=True,
        ),
        Reason(
            "unknown_version",
            "frame",
            "It is of a version of the contract that this hub does not read.",
            "Update the hub, then replay. Or, where `v` is a mistake, mend the sender.",
        ),
        Reason(
            "unknown_kind",
            "frame",
            "Its `kind` is none that this hub reads.",
            "Update the hub, then replay. Or, where `kind` is a mistake, mend the sender.",
        ),
        Reason("unknown_clock", "frame", "Its `clock` is neither `live` nor `recorded`.", _BROKEN, is_broken=True),
        Reason("wrong_topic", "frame", "Readings came on …/scans, or scans on …/readings.", _BROKEN, is_broken=True),
        Reason(
            "bad_columns",
            "frame",
            "Its columns are missing, differ in length, are empty or hold more than 10 000 readings.",
            _BROKEN,
            is_broken=True,
        ),
        Reason(
            "database_refused",
            "frame",
            "The database can't hold something in it; the sentence beside it says what.",
            "Please report it. If a newer version of Sidestream takes it, replay.",
        ),
        Reason(
            "unknown_device",
            "frame",
            "The device that sent it is not in hub.yaml, or not of this party.",
            "If it is yours, add it: `mend` writes the line. If its name is a slip, correct device or party in its edge.yaml, "
            "and discard what came.",
            mend="device",
        ),
        Reason(
            "unknown_sensor",
            "reading",
            "The sensor is not in hub.yaml, so nobody knows what its numbers mean.",
            "If it is real, register it: `mend` writes the line as the edge announced it. If its name is a slip, correct it "
            "in edge.yaml, and discard what came.",
            mend="sensor",
        ),
        Reason(
            "foreign_sensor",
            "reading",
            "hub.yaml says that another device sends this sensor.",
            "If the sensor moved, correct `device:` of the sensor in hub.yaml, apply it, then replay. Otherwise mend edge.yaml.",
        ),
        Reason(
            "wrong_unit",
            "reading",
            "The edge announced the sensor in another unit than hub.yaml declares; taken as declared, the numbers would be wrong.",
            "If the edge is right, map its unit: `mend` writes `sent_unit`, and every reading is converted. If hub.yaml is right, "
            "correct the unit in edge.yaml and restart the agent; what came before is still in the other unit.",
            mend="unit",
        ),
        Reason(
            "wrong_kind",
            "reading",
            "A number came from a sensor that scans codes, or a code from one that measures.",
            "Correct `quantity` of the sensor in hub.yaml, apply it, then replay; or mend edge.yaml.",
        ),
        Reason("bad_index", "reading", "`i` points at no sensor of the frame.", _BROKEN, is_broken=True),
        Reason(
            "bad_id",
            "reading",
            "The sensor's name is no id: a lower-case letter, then up to 30 of a-z 0-9 _ -.",
            _BROKEN,
            is_broken=True,
        ),
        Reason("bad_time", "reading", "`t` is no whole number of microseconds.", _BROKEN, is_broken=True),
        Reason(
            "time_future",
            "reading",
            "It was measured later than it came: the gateway's clock is ahead.",
            "Set the gateway's clock (NTP). Only if the times are right after all, raise hub.early_s in hub.yaml, apply it, "
            "then replay.",
        ),
        Reason(
            "time_too_old",
            "reading",
            "It was measured longer ago than the hub takes live readings from: the gateway's clock is behind, or it was away long.",
            "Set the gateway's clock (NTP). If the times are right, raise hub.late_days in hub.yaml, apply it, then replay.",
        ),
        Reason(
            "time_impossible",
            "reading",
            "A recorded time lies before 1900 or after 2100.",
            "Correct time_column and time_format in edge.yaml, then play the recording again; discard what came.",
            is_broken=True,
        ),
        Reason(
            "time_dropped",
            "reading",
            "The sensor's readings of that time were dropped by age; its figures stay as they were made from all of them.",
            "Nothing, if it may be forgotten: discard it. Else keep what is here (`show`), and raise retention.readings_days "
            "in hub.yaml above the time for which a gateway may be away.",
            never="what was dropped of that time is gone, so no figure can be made again with it",
        ),
        Reason("bad_quality", "reading", "`q` is none of 0 good, 1 uncertain, 2 bad.", _BROKEN, is_broken=True),
        Reason(
            "not_a_number",
            "reading",
            '`val` is not a JSON number: a text such as "12,5", true, a list.',
            "Mend the driver or sender; a number that is not known is null. What came stays as it is: `show` it, then discard it.",
            is_broken=True,
        ),
        Reason(
            "not_finite",
            "reading",
            "`val` is NaN or infinite; sums over it would be nothing.",
            "Mend the driver or sender; a number that is not known is null. Discard what came.",
            is_broken=True,
        ),
        Reason("out_of_bounds", "reading", "`val` is beyond ±1e30, which no meter means.", _BROKEN, is_broken=True),
        Reason(
            "bad_code",
            "reading",
            "The scanned code is empty, longer than 512 characters or can't be printed.",
            _BROKEN,
            is_broken=True,
        ),
        Reason("bad_rssi", "reading", "The signal strength is not between -200 and 50 dBm.", _BROKEN, is_broken=True),
    )
}


def reason(code: str) -> Reason:
    """The explanation of a reason; one of a newer version is told as such."""
    return REASONS.get(code) or Reason(
        code, "message", f"{code!r} is a reason that this version does not know.", "Update this program and ask again."
    )


def as_markdown() -> str:
    """The table as it stands in docs/quarantine.md."""
    rows = ["| reason | costs | why | what to do | replay |", "|---|---|---|---|---|"]
    rows += [f"| `{r.code}` | the {r.costs} | {r.why} | {r.todo} | {_replay(r)} |" for r in REASONS.values()]
    return "\n".join(rows) + "\n"


def _replay(told: Reason) -> str:
    if told.never:
        return f"never: {told.never}"
    return "of no use" if told.is_broken else "yes"


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201

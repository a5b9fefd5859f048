"""What becomes of a sorted batch: committed, then acknowledged, then released to the broker, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from sidestream_contracts import failpoint
from sidestream_contracts.errors import ContractError
from sidestream_contracts.messages import Acknowledgement, Refusal
from sidestream_ingest.desk import Batch, save_statuses
from sidestream_ingest.patience import Patience
from sidestream_ingest.stats import Stats
from sidestream_ingest.subscriber import Subscriber
from sidestream_store.batch import CheckedFrame
from sidestream_store.connect import Connection
from sidestream_store.delivery import Applied, apply_frames
from sidestream_store.ledger import acknowledgements
from sidestream_store.partitions import Partitions

_log = structlog.get_logger("ingest")
_MOST_REFUSED = 20
_LONGEST_TEXT = 400


class Committing:
    """Brings batches to their end, one after the other, on a connection of its own; used by one thread at a time.

    `changed` is told the numbers of the sensors that a commit brought something of.
    """

    def __init__(self, patience: Patience, stats: Stats, changed: Callable[[Collection[int]], None]) -> None:
        self._persist = patience.persist
        self._stats, self._changed = stats, changed
        self._partitions = Partitions()

    def finish(self, subscriber: Subscriber, batch: Batch) -> None:
        """Each step is a transaction of its own that is repeated until it is committed, so none is done twice over."""
        live = [f.readings.time_us for f in batch.frames if not f.recorded]
        self._persist(lambda c: self._partitions.ensure(c, live))
        self._deliver(batch.frames)
        if batch.loose:
            loose = self._persist(lambda c: apply_frames(c, [], batch.loose))
            if loose is not None:
                self._count(loose)
        self._persist(lambda c: save_statuses(c, batch))
        acks = self._persist(lambda c: acknowledgements(c, [f.ledger_key for f in batch.frames])) or []
        self._tell(subscriber, batch, acks)
        failpoint.reach("ingest.before_puback")
        subscriber.release(batch.arrivals)
        failpoint.reach("ingest.after_puback")

    def _tell(self, subscriber: Subscriber, batch: Batch, acks: Sequence[tuple[int, Acknowledgement]]) -> None:
        failpoint.reach("ingest.before_ack")
        refused = _refused(batch.frames)
        now_at = datetime.now(UTC)
        for device_id, ack in acks:
            word = {"at": now_at, "refused": refused.pop(device_id, [])}  # once, beside the first of its lanes
            subscriber.acknowledge(batch.senders[device_id], ack.model_copy(update=word))
            self._stats.acknowledgements += 1
        failpoint.reach("ingest.after_ack")

    def _deliver(self, frames: list[CheckedFrame]) -> None:
        """All frames in one transaction; a batch with a poison frame is halved until that frame stands alone."""
        try:
            applied = self._persist(lambda c: self._apply(c, frames)) if frames else None
        except ContractError as error:
            if len(frames) > 1:
                middle = len(frames) // 2
                self._deliver(frames[:middle])
                self._deliver(frames[middle:])
                return
            applied = self._quarantine(frames[0], error)
        if applied is not None:
            self._count(applied)

    def _apply(self, connection: Connection, frames: list[CheckedFrame]) -> Applied:
        with self._stats.commit():
            return apply_frames(connection, frames)

    def _quarantine(self, frame: CheckedFrame, error: ContractError) -> Applied | None:
        try:
            return self._persist(lambda c: apply_frames(c, [frame.refused(error)]))
        except ContractError as again:
            # not acknowledged, so the edge keeps it; the hub's other devices go on
            _log.error(
                "not even quarantine takes a frame", topic=frame.message.topic, seq=frame.key.seq, error=str(again)
            )
            return None

    def _count(self, applied: Applied) -> None:
        self._stats.applied(applied)
        self._changed(applied.sensor_ids)


def _refused(frames: Iterable[CheckedFrame]) -> dict[int, list[Refusal]]:
    """For each device what of its frames could not be used, each sensor and reason once."""
    found: dict[int, dict[tuple[str | None, str], Refusal]] = {}
    for frame in frames:
        mine = found.setdefault(frame.device_id, {}) if frame.quarantine else {}
        for entry in frame.quarantine:
            if len(mine) < _MOST_REFUSED:
                told = Refusal(sensor=entry.sensor, reason=entry.reason, text=entry.detail[:_LONGEST_TEXT])
                mine.setdefault((entry.sensor, entry.reason), told)
    return {device_id: list(mine.values()) for device_id, mine in found.items()}

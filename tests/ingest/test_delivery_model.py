"""The delivery protocol holds in any interleaving; and the model that says so catches each way of breaking it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from delivery_model import Clock, DeliveryMachine, Hub, Sent, Worker
from frames import NOW
from hub_files import test_hub
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from sidestream_contracts.messages import Acknowledgement
from sidestream_edge import session
from sidestream_edge.framing import merged
from sidestream_edge.outbox import Draft, Outbox, Place
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range

pytestmark = pytest.mark.server


@pytest.fixture
def hub(database, connect, tmp_path, monkeypatch) -> Hub:
    """A database with the test hub, and the edge's clock in our hands."""
    apply_hub(database, test_hub(), tmp_path)
    observer, clock = connect(), Clock()
    ensure_range(observer, NOW - timedelta(days=1), NOW + timedelta(days=1))
    monkeypatch.setattr(session, "time", clock)
    return Hub(tmp_path, clock, observer, [connect(), connect()])


def machine(kind: type[DeliveryMachine], hub: Hub) -> type[DeliveryMachine]:
    return type(kind.__name__, (kind,), {"hub": hub})


def test_nothing_is_lost_doubled_or_deleted_too_early_in_any_interleaving(hub):
    """25 examples by default; `--hypothesis-profile=long` tries five hundred."""
    examples = max(6, settings.default.max_examples // 4)
    some = settings(max_examples=examples, stateful_step_count=30, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine(DeliveryMachine, hub), settings=some)


class AcknowledgesWhatItHolds(DeliveryMachine):
    """Acknowledges on arrival, before the commit."""

    def acknowledge(self, worker: Worker) -> list[Acknowledgement]:
        return from_memory(worker)

    def received(self, worker: Worker) -> None:
        worker.applied |= {f.ledger_key for f in self.checked(worker)}


class AcknowledgesFromMemory(DeliveryMachine):
    """Commits first, but says the highest seq that it remembers instead of what the ledger has."""

    def acknowledge(self, worker: Worker) -> list[Acknowledgement]:
        return from_memory(worker)


class AcknowledgesWithinItsTransaction(DeliveryMachine):
    """Reads the ledger, but before its own rows in it are committed."""

    def may_acknowledge(self, worker: Worker) -> bool:
        return True


class DoesNotDeduplicate(DeliveryMachine):
    """Forgets that a frame was there before."""

    def apply(self, worker: Worker, frames: list) -> None:
        for frame in frames:
            worker.connection.execute(
                "DELETE FROM sidestream.frame WHERE epoch = %s::uuid AND seq = %s", [frame.key.epoch, frame.key.seq]
            )
            worker.connection.execute("DELETE FROM sidestream.frame_mark")
        super().apply(worker, frames)


class DeletesOnPuback(DeliveryMachine):
    """Believes the broker."""

    def confirmed(self, sent: Sent) -> None:
        key = dict(sent.properties)
        if key and key["epoch"] == self.outbox.epoch:
            place = Place(self.outbox._epoch_id, int(key["seq"]))
            self.outbox._delete(key["lane"], place.epoch_id, [(place.seq, place.seq)])


class GoesOnInTheOldEpoch(DeliveryMachine):
    """Counts on in the epoch it finds on its disk, so that a gateway restored from an image uses keys twice."""

    def open_outbox(self) -> Outbox:
        return _OneEpoch(self.path)


class _OneEpoch(Outbox):
    def _begin(self) -> None:
        if self._epochs and not self._epoch_id:
            self._epoch_id, last = max(self._epochs.items())
            self.epoch, self.previous_epoch = last.epoch, last.prev
        super()._begin()


class PacksTheSpoolInItsNewEpoch(DeliveryMachine):
    """Gives what an earlier run has spooled keys of its own, as the original did too."""

    def open_outbox(self) -> Outbox:
        outbox = _PacksLate(self.path, merge=merged)
        outbox.pack()
        return outbox


class _PacksLate(Outbox):
    def _pack_into(self, epoch_id: int) -> list[Draft]:
        return super()._pack_into(epoch_id) if epoch_id == self._epoch_id else []


def from_memory(worker: Worker) -> list[Acknowledgement]:
    return [
        Acknowledgement(epoch=epoch, lane=lane, upto=highest)
        for (device, epoch, lane), highest in worker.memory.items()
        if (device, epoch, lane[0]) in {key[:3] for key in worker.applied}
    ]


MUTANTS = [
    AcknowledgesWhatItHolds,
    AcknowledgesFromMemory,
    AcknowledgesWithinItsTransaction,
    DoesNotDeduplicate,
    DeletesOnPuback,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda kind: kind.__name__)
def test_the_model_catches_a_protocol_that(hub, mutant):
    """Each mutant breaks one rule of docs/delivery.md; a model that let one pass would prove nothing."""
    until_found = settings(
        max_examples=300,
        stateful_step_count=30,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match=r"D\d"):
        run_state_machine_as_test(machine(mutant, hub), settings=until_found)


@pytest.mark.parametrize(("kind", "holds"), [(DeliveryMachine, True), (GoesOnInTheOldEpoch, False)])
def test_a_gateway_restored_from_an_image_must_draw_a_new_epoch(hub, kind, holds):
    """A story too long to be met by chance every time, told step by step: the sixth mutant."""
    model = machine(kind, hub)()
    model.begin()
    try:
        model.image_is_taken()
        model.measure("live", 2, strange=False)
        model.broker_delivers(0, list(range(len(model.bag))), keep=False, then="acknowledge")
        model.gateway_is_restored_from_the_image()
        model.measure("live", 2, strange=False)
        model.acknowledgement(0, "arrives")
        if holds:
            model.the_edge_deletes_only_what_is_committed()
        else:
            with pytest.raises(AssertionError, match="D3"):
                model.the_edge_deletes_only_what_is_committed()
    finally:
        model.worker_dies(0)
        model.outbox.close()


@pytest.mark.parametrize(("kind", "holds"), [(DeliveryMachine, True), (PacksTheSpoolInItsNewEpoch, False)])
@pytest.mark.parametrize("restarts", [False, True])
def test_an_image_taken_while_live_readings_are_spooled_doubles_none_of_them(hub, kind, holds, restarts):
    """The original goes on and sends them, then the image is put back: the seventh mutant."""
    model = machine(kind, hub)()
    model.begin()
    try:
        model.measure("spool", 3, strange=False)
        model.image_is_taken()
        model.measure("spool", 2, strange=False)
        if restarts:
            model.gateway("crash")
        else:
            model.the_outage_ends_for_the_spool()
        model.broker_delivers(0, list(range(len(model.bag))), keep=False, then="acknowledge")
        model.gateway_is_restored_from_the_image()
        model.drain()
        if holds:
            model.nothing_is_there_twice()
            model.count()
        else:
            with pytest.raises(AssertionError, match="D1"):
                model.nothing_is_there_twice()
    finally:
        model.worker_dies(0)
        model.outbox.close()

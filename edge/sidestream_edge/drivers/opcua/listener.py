"""One run of the driver: connect, subscribe, take what comes; every value keeps the time of its source and is taken once.

The server queues while the line is cut: a session or subscription that it still has goes on without loss. Where it has not, the
gap is said, and read from the server's history if it has one. A silent server makes its sensors say `null`, quality bad.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import TransientError
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import BEAT_S, DriverContext
from sidestream_edge.drivers.opcua import status, words
from sidestream_edge.drivers.opcua.gaps import Gap, fill
from sidestream_edge.drivers.opcua.intake import Intake
from sidestream_edge.drivers.opcua.keys import SOON_DAYS, KeyFolder
from sidestream_edge.drivers.opcua.link import Link
from sidestream_edge.drivers.opcua.mapping import Mapped, Mapping
from sidestream_edge.drivers.opcua.refresh import refresh
from sidestream_edge.drivers.opcua.subscription import EndedError, Subscription, subscribe, transferred, watch
from sidestream_edge.measurement import now_us

LONGEST_RECONNECT_S = 15.0
LOOK_AGAIN_S = 60.0
"""How often variables that were not there are looked for again."""


class Listener:
    """One server; makes everything anew that a restarted driver must not inherit."""

    def __init__(self, config: OpcUaDriver, folder: Path, application_uri: str) -> None:
        self._config = config
        self._where = f"OPC UA server {config.id} ({config.url})"
        self._link = Link(config, self._where, KeyFolder(folder, application_uri), application_uri)
        self._mapping = Mapping(config.sensors)
        self._mapped = Mapped()
        self._subscription: Subscription | None = None
        self._backoff = Backoff(first_s=0.5, longest_s=LONGEST_RECONNECT_S)
        self._look_again_s = 0.0

    async def run(self, context: DriverContext) -> None:
        """Listens until the context says stop; ends the session then."""
        work = asyncio.create_task(self._listen_for_ever(Intake(self._config, context), context))
        try:
            while not work.done():
                context.beat()
                if context.stopping:
                    work.cancel()
                await asyncio.wait({work}, timeout=BEAT_S)
            if not work.cancelled():
                work.result()
        finally:
            work.cancel()
            await self._link.close()

    async def _listen_for_ever(self, intake: Intake, context: DriverContext) -> None:
        while True:
            try:
                await self._connect(intake, context)
                await self._pump(intake, context)
            except EndedError as error:
                self._subscription = None
                context.problem(f"{self._where} has ended our subscription ({error}). Making a new one.")
            except (TransientError, *words.FAILURES) as error:
                said = error if isinstance(error, TransientError) else self._link.said(error)
                context.problem(str(said))
            self._link.drop()
            intake.nothing(self._sensors())
            await asyncio.sleep(self._backoff.next_s())

    async def _connect(self, intake: Intake, context: DriverContext) -> None:
        """Goes on where the line was cut, or begins anew and closes the gap."""
        if await self._link.open():
            if self._subscription is not None and await self._caught_up(self._subscription, intake):
                return
        else:
            self._tell_expiry(context)
            kept = self._subscription is not None and await transferred(self._link.session, self._subscription)
            self._mapped = await self._find(intake, context)
            if kept and self._subscription is not None and await self._caught_up(self._subscription, intake):
                return
        await self._begin(intake, context)

    async def _caught_up(self, subscription: Subscription, intake: Intake) -> bool:
        """Takes what the server sent in vain; False when it has given the subscription up."""
        try:
            while (message := await subscription.again(self._link.session)) is not None:
                intake.take(message)
        except EndedError:
            return False
        return True

    async def _begin(self, intake: Intake, context: DriverContext) -> None:
        """A new subscription; it queues at the server while the gap before it is filled."""
        intake.forget()
        self._subscription = subscription = await subscribe(self._link.session, self._config, self._mapped.nodes)
        self._tell_refused(subscription, context)
        intake.nothing([*self._mapped.lost, *subscription.refused])
        gap = Gap.since(intake.heard_us, now_us())
        if gap is not None:
            await fill(gap, self._link.session, self._config, self._mapped.nodes, intake=intake, context=context)

    async def _pump(self, intake: Intake, context: DriverContext) -> None:
        """Takes what the server publishes, and what it says on being asked, until the line is cut."""
        asking = asyncio.create_task(self._ask_again(intake))
        try:
            await self._take_messages(intake, context)
        finally:
            asking.cancel()

    async def _ask_again(self, intake: Intake) -> None:
        if self._config.refresh_s is not None:
            await refresh(self._link.session, self._mapped.nodes, intake, self._config.refresh_s)

    async def _take_messages(self, intake: Intake, context: DriverContext) -> None:
        while True:
            subscription = self._subscription
            if subscription is None:
                return
            message = await subscription.next(self._link.session, intake.durable())
            self._backoff.reset()
            if message.missing:
                context.fault(
                    "messages_lost",
                    f"{self._where}: {message.missing} of its messages were lost on the way, and it no longer has them. Raise `keep_s`.",
                )
            intake.take(message)
            if not self._mapped.lost and not subscription.refused:
                context.good()
            elif time.monotonic() > self._look_again_s:
                await self._look_again(subscription, intake, context)

    async def _find(self, intake: Intake, context: DriverContext) -> Mapped:
        mapped = await self._mapping.find(self._link.session)
        intake.doubtful = frozenset(mapped.wrong_unit)
        for sensor_id, text in {**mapped.advice, **mapped.wrong_unit}.items():
            context.note(sensor_id, f"Driver {self._config.id}, {text}")
        for sensor in self._config.sensors:
            unit = mapped.units.get(sensor.id)
            if sensor.unit is None and unit is not None and unit.ucum is not None and sensor.scale == 1.0:
                context.announce(
                    AnnouncedSensor(
                        id=sensor.id, driver=self._config.id, unit=unit.ucum, quantity=sensor.quantity, delivery="once"
                    )
                )
        return mapped

    def _tell_expiry(self, context: DriverContext) -> None:
        own = self._link.own
        if own is not None and own.valid_until - datetime.now(UTC) < timedelta(days=SOON_DAYS):
            context.note(
                "certificate",
                f"This gateway's certificate for {self._where} ends on {own.valid_until:%Y-%m-%d}. Move {own.certificate} and its key away,"
                " restart the agent, and trust the new one at the server.",
            )

    def _tell_refused(self, subscription: Subscription, context: DriverContext) -> None:
        """The sensors that can't be read now: as the driver's trouble, and each as a rejection."""
        self._look_again_s = time.monotonic() + LOOK_AGAIN_S
        bad = {name: (error.reason, str(error)) for name, error in self._mapped.lost.items()}
        bad |= {name: (status.name(code), status.words(code)) for name, code in subscription.refused.items()}
        for name, (reason, text) in bad.items():
            context.reject(name, reason, f"{self._where}, sensor {name}: {text}.")
        if bad:
            first, (_, text) = next(iter(bad.items()))
            others = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
            context.problem(
                f"{self._where} gives no values of {first} ({text}){others}. Correct `node` or `path`; looked for again each minute."
            )
        for name, queue in subscription.short.items():
            context.note(
                f"queue {name}",
                f"{self._where} queues {queue} samples of {name}, not {self._config.queue}: a longer outage loses some.",
            )

    async def _look_again(self, subscription: Subscription, intake: Intake, context: DriverContext) -> None:
        """Variables that were not there may be there by now, for instance after a new program of the PLC."""
        before = self._mapped.nodes.keys() - subscription.refused.keys()
        self._mapped = await self._find(intake, context)
        subscription.refused.clear()
        await watch(
            self._link.session, self._config, subscription,
            {name: node for name, node in self._mapped.nodes.items() if name not in before},
        )  # fmt: skip
        self._tell_refused(subscription, context)
        intake.nothing([*self._mapped.lost, *subscription.refused])

    def _sensors(self) -> list[str]:
        return [sensor.id for sensor in self._config.sensors]

"""A subscription on the server: made once, continued over a new line where the server still has it, published to by us.

Guarantee: what the server has queued is acknowledged only when it is durable here; a message that was lost on the line is asked
for again; one that the server no longer has is told as missing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua import uaerrors

from sidestream_contracts.edge_opcua import OpcUaDriver, OpcUaSensor
from sidestream_contracts.errors import TransientError
from sidestream_edge.drivers.opcua import status
from sidestream_edge.drivers.opcua.address_space import pieces

MOST_IN_MESSAGE = 5000
_NO_FILTER = frozenset({"BadMonitoredItemFilterUnsupported", "BadMonitoredItemFilterInvalid", "BadFilterNotAllowed"})
_TRANSFERRED = "GoodSubscriptionTransferred"
_LAST_SEQUENCE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Message:
    """What one publish response brought: values by sensor id; `number` is None for a mere sign of life."""

    number: int | None = None
    values: tuple[tuple[str, ua.DataValue], ...] = ()
    missing: int = 0


class EndedError(TransientError):
    """The server has ended the subscription; `code` says why."""

    def __init__(self, code: int) -> None:
        super().__init__(status.words(code))
        self.code = code


@dataclass(slots=True)
class Subscription:
    """One subscription and how far its messages have been taken."""

    id: int
    silent_s: float
    """Silence after which the server counts as gone."""
    refused: dict[str, int] = field(default_factory=dict)
    """Sensors that the server would not watch, with its code."""
    short: dict[str, int] = field(default_factory=dict)
    """Sensors of which the server queues fewer samples than asked for."""
    _names: dict[int, str] = field(default_factory=dict)
    _last: int = 0

    async def next(self, session: UaSession, acknowledged: Sequence[int]) -> Message:
        """The next message; TimeoutError after too long a silence, EndedError when the server has given the subscription up."""
        acks = [
            ua.SubscriptionAcknowledgement(SubscriptionId=self.id, SequenceNumber=number) for number in acknowledged
        ]
        async with asyncio.timeout(self.silent_s):
            while True:
                try:
                    result = (await session.publish(acks)).Parameters
                except uaerrors.BadNoSubscription as error:
                    raise EndedError(error.code) from error
                if result.SubscriptionId == self.id:
                    return self._message(result.NotificationMessage)
                acks = []

    async def again(self, session: UaSession) -> Message | None:
        """The next message that the server sent while the line was cut; None when there is no further one."""
        try:
            message = await session.republish(self.id, _after(self._last))
        except uaerrors.BadMessageNotAvailable:
            return None
        except uaerrors.BadSubscriptionIdInvalid as error:
            raise EndedError(error.code) from error
        return self._message(message)

    def _message(self, message: ua.NotificationMessage) -> Message:
        if not message.NotificationData:
            return Message()
        number = int(message.SequenceNumber)
        missing = (number - _after(self._last)) % _LAST_SEQUENCE if self._last else 0
        self._last = number
        return Message(number, tuple(self._values(message.NotificationData)), missing)

    def _values(self, parts: Sequence[object]) -> Iterator[tuple[str, ua.DataValue]]:
        for part in parts:
            if isinstance(part, ua.StatusChangeNotification):
                if status.name(int(part.Status.value)) == _TRANSFERRED:
                    continue  # to us; had somebody else taken it, the next publish would be refused
                raise EndedError(int(part.Status.value))
            if isinstance(part, ua.DataChangeNotification):
                for item in part.MonitoredItems or []:
                    if item.ClientHandle in self._names:
                        yield self._names[item.ClientHandle], item.Value


async def subscribe(session: UaSession, config: OpcUaDriver, nodes: dict[str, ua.NodeId]) -> Subscription:
    """A new subscription that watches `nodes` by sensor id; what the server refuses stands in `refused`."""
    alive = max(1, round(config.keepalive_s / config.publishing_s))
    made = await session.create_subscription(
        ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=config.publishing_s * 1000, RequestedMaxKeepAliveCount=alive,
            RequestedLifetimeCount=max(3 * alive, math.ceil(config.keep_s / config.publishing_s)),
            MaxNotificationsPerPublish=MOST_IN_MESSAGE, PublishingEnabled=True, Priority=0,
        ),
        callback=lambda _: None,
    )  # fmt: skip
    keepalive_s = made.RevisedPublishingInterval / 1000 * made.RevisedMaxKeepAliveCount
    subscription = Subscription(int(made.SubscriptionId), keepalive_s + config.timeout_s)
    await watch(session, config, subscription, nodes)
    return subscription


async def watch(
    session: UaSession, config: OpcUaDriver, subscription: Subscription, nodes: dict[str, ua.NodeId]
) -> None:
    """Adds `nodes` to what is watched; a server that can't filter as asked is asked without."""
    sensors = {sensor.id: sensor for sensor in config.sensors}
    plain: dict[str, ua.NodeId] = {}
    for some in pieces(list(nodes.items())):
        for name, code in (
            await _create(session, config, subscription, [(sensors[name], node, True) for name, node in some])
        ).items():
            if status.name(code) in _NO_FILTER and not _has_deadband(sensors[name]):
                plain[name] = nodes[name]
            else:
                subscription.refused[name] = code
    for some in pieces(list(plain.items())):
        subscription.refused |= await _create(
            session, config, subscription, [(sensors[name], node, False) for name, node in some]
        )


async def _create(
    session: UaSession,
    config: OpcUaDriver,
    subscription: Subscription,
    items: Sequence[tuple[OpcUaSensor, ua.NodeId, bool]],
) -> dict[str, int]:
    """Codes by sensor of those that were refused."""
    first = max(subscription._names, default=0) + 1  # noqa: SLF001  the same module
    requests = [
        _request(config, sensor, node, first + k, filtered=filtered) for k, (sensor, node, filtered) in enumerate(items)
    ]
    subscription._names |= {first + k: sensor.id for k, (sensor, _, _) in enumerate(items)}  # noqa: SLF001
    results = await session.create_monitored_items(
        ua.CreateMonitoredItemsParameters(subscription.id, ua.TimestampsToReturn.Both, requests)
    )
    refused: dict[str, int] = {}
    for (sensor, _, _), result in zip(items, results, strict=True):
        if not result.StatusCode.is_good():
            refused[sensor.id] = int(result.StatusCode.value)
        elif result.RevisedQueueSize < config.queue:
            subscription.short[sensor.id] = int(result.RevisedQueueSize)
    return refused


def _request(
    config: OpcUaDriver, sensor: OpcUaSensor, node: ua.NodeId, handle: int, *, filtered: bool
) -> ua.MonitoredItemCreateRequest:
    sampling_s = config.publishing_s if config.sampling_s is None else config.sampling_s
    asked = ua.MonitoringParameters(
        ClientHandle=handle, SamplingInterval=sampling_s * 1000, QueueSize=config.queue, DiscardOldest=True,
        Filter=_filter(config, sensor) if filtered else None,
    )  # fmt: skip
    item = ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value)
    return ua.MonitoredItemCreateRequest(item, ua.MonitoringMode.Reporting, asked)


def _filter(config: OpcUaDriver, sensor: OpcUaSensor) -> ua.DataChangeFilter | None:
    if sensor.deadband is not None:
        return ua.DataChangeFilter(ua.DataChangeTrigger.StatusValue, int(ua.DeadbandType.Absolute), sensor.deadband)
    if sensor.deadband_pct is not None:
        return ua.DataChangeFilter(ua.DataChangeTrigger.StatusValue, int(ua.DeadbandType.Percent), sensor.deadband_pct)
    if config.report == "sample":
        return ua.DataChangeFilter(ua.DataChangeTrigger.StatusValueTimestamp, int(ua.DeadbandType.None_), 0.0)
    return None


def _has_deadband(sensor: OpcUaSensor) -> bool:
    return sensor.deadband is not None or sensor.deadband_pct is not None


def _after(number: int) -> int:
    return number % _LAST_SEQUENCE + 1


async def transferred(session: UaSession, subscription: Subscription) -> bool:
    """Whether a new session may go on with a subscription of an old one that the server still keeps."""
    try:
        (result,) = await session.transfer_subscriptions(
            ua.TransferSubscriptionsParameters(SubscriptionIds=[subscription.id], SendInitialValues=False)
        )
    except (
        ua.UaStatusCodeError
    ):  # many servers don't offer this, or only to signed sessions: a new subscription is made
        return False
    return bool(result.StatusCode.is_good())

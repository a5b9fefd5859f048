"""What is known of one edge node: births, aliases, sequence. Pure: messages in, updates of metrics out.

Guarantee: no value is given to the wrong metric. An alias counts only between a birth and the next doubt: after a gap in the
sequence, or before a birth, values that come by alias alone are left out until the node has been born again; what comes by
name is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sidestream_edge.drivers.sparkplug.wire import Metric, Payload

Kind = Literal["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"]
KINDS: tuple[Kind, ...] = ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH")
Key = tuple[str | None, str]
"""Device (None for the node itself) and name of a metric."""

_SEQS = 256
_OWN = frozenset({"bdSeq"})
_CONTROL = ("Node Control/", "Device Control/")


@dataclass(frozen=True, slots=True)
class Update:
    """A metric has a value; `datatype` from the message or else from the birth."""

    key: Key
    metric: Metric
    datatype: int | None
    time_ms: int | None


@dataclass(slots=True)
class Outcome:
    """What a message brought: updates, metrics left out, who is dead now, whether this was all repeated or of no account."""

    updates: list[Update] = field(default_factory=list)
    unattributed: int = 0
    dead: bool = False
    born: list[tuple[Key, Metric]] = field(default_factory=list)
    ignored: str | None = None


class Node:
    """One edge node; `doubt` says why it should be born again, until it was."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing is known: at the start, at a birth, and when our connection was cut."""
        self.doubt: str | None = "it has not been born since we listen"
        self.online = False
        self._bdseq: int | None = None
        self._seq: int | None = None
        self._last: tuple[Kind, str | None, Payload] | None = None
        self._types: dict[Key, int | None] = {}
        self._aliases: dict[int, Key | None] = {}
        self._devices: set[str] = set()

    def take(self, kind: Kind, device: str | None, payload: Payload) -> Outcome:
        """Takes one message in; never raises for what a node may send."""
        if self._last == (kind, device, payload) and kind != "NBIRTH":
            return Outcome(ignored="repeated")
        self._last = (kind, device, payload)
        if kind == "NDEATH":
            return self._node_death(payload)
        if kind == "NBIRTH":
            return self._node_birth(payload)
        if not self.online:
            self.doubt = self.doubt or "data came before a birth"
        else:
            self._check_seq(payload)
        if kind == "DBIRTH":
            return self._device_birth(device or "", payload)
        if kind == "DDEATH":
            self._forget_device(device or "")
            return Outcome(dead=self.online)
        if kind == "DDATA" and device not in self._devices:
            self.doubt = self.doubt or f"data of device {device} came before its birth"
        return self._data(device, payload)

    def _node_birth(self, payload: Payload) -> Outcome:
        self.forget()
        self._last = ("NBIRTH", None, payload)
        self.doubt, self.online = None, True
        self._bdseq, self._seq = payload.number("bdSeq"), payload.seq
        return self._born(None, payload)

    def _device_birth(self, device: str, payload: Payload) -> Outcome:
        if device in self._devices:
            self.doubt = self.doubt or f"device {device} was born twice; a birth of its node may have been lost"
        self._forget_device(device)
        if not self.online:
            return Outcome(unattributed=len(payload.metrics))
        self._devices.add(device)
        return self._born(device, payload)

    def _born(self, device: str | None, payload: Payload) -> Outcome:
        outcome = Outcome()
        for metric in payload.metrics:
            if metric.name is None or metric.name in _OWN:
                continue
            key = (device, metric.name)
            self._types[key] = metric.datatype
            if metric.alias is not None:
                taken = metric.alias in self._aliases
                self._aliases[metric.alias] = None if taken else key
                if taken:
                    self.doubt = self.doubt or f"alias {metric.alias} was given to two metrics"
            if not metric.name.startswith(_CONTROL):
                outcome.born.append((key, metric))
                outcome.updates.append(Update(key, metric, metric.datatype, metric.time_ms or payload.time_ms))
        return outcome

    def _data(self, device: str | None, payload: Payload) -> Outcome:
        outcome = Outcome()
        for metric in payload.metrics:
            key = self._key(device, metric)
            if key is None:
                outcome.unattributed += 1
                continue
            datatype = metric.datatype or self._types.get(key)
            outcome.updates.append(Update(key, metric, datatype, metric.time_ms or payload.time_ms))
        return outcome

    def _key(self, device: str | None, metric: Metric) -> Key | None:
        if metric.name is not None:
            return (device, metric.name)
        if self.doubt is not None or metric.alias is None:
            return None
        key = self._aliases.get(metric.alias)
        if key is None or key[0] != device:
            self.doubt = f"alias {metric.alias} is unknown or not of {device or 'the node itself'}"
            return None
        return key

    def _check_seq(self, payload: Payload) -> None:
        expected = None if self._seq is None else (self._seq + 1) % _SEQS
        if payload.seq != expected:
            self.doubt = self.doubt or f"message {expected} is missing, {payload.seq} came"
        self._seq = payload.seq

    def _node_death(self, payload: Payload) -> Outcome:
        told = payload.number("bdSeq")
        if self.online and self._bdseq is not None and told is not None and told != self._bdseq:
            return Outcome(ignored=f"death {told} of a session before {self._bdseq}")
        was_online = self.online
        self.forget()
        self.doubt = None  # a dead node can't be asked; its next birth comes by itself
        return Outcome(dead=was_online)

    def _forget_device(self, device: str) -> None:
        self._devices.discard(device)
        self._aliases = {alias: key for alias, key in self._aliases.items() if key is None or key[0] != device}
        self._types = {key: kind for key, kind in self._types.items() if key[0] != device}

"""The agent's side: answers who knocks with its state, and shows watchers each batch as it passes.

One thread for all visitors. Nobody can hold up the agent: what a slow watcher does not take in time is left out and
counted, and who does not watch costs nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from sidestream_contracts.errors import SidestreamError
from sidestream_edge.bus import encode
from sidestream_edge.local.address import at, door_of, new_socket
from sidestream_edge.measurement import Batch

log = structlog.get_logger()

MOST_WAITING_BYTES = 1 << 20
MOST_VISITORS = 16
_MOST_QUESTION_BYTES = 4096


@dataclass(eq=False, slots=True)
class _Visitor:
    line: socket.socket
    asked: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)
    watches: bool = False
    missed: int = 0


class Door:
    """Open from `start` to `close`; `state` is asked in the door's own thread and must be ready for that."""

    def __init__(self, outbox: Path, state: Callable[[], dict[str, Any]]) -> None:
        self._path = door_of(outbox)
        self._state = state
        self._selector = selectors.DefaultSelector()
        self._visitors: set[_Visitor] = set()
        self._watchers = 0
        self._lock = threading.Lock()
        self._over = False
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._listener = new_socket()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def start(self) -> None:
        """Lets visitors in; where that can't be, the agent goes on without, and the log says so."""
        try:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()  # of a run that was killed: we hold the outbox's lock
            os.fchmod(self._listener.fileno(), 0o600)
            at(self._path, self._listener.bind)
            self._listener.listen(4)
        except OSError as error:
            log.warning("`edge status` and `edge tail` will not find this agent", why=str(error), path=str(self._path))
            return
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_r, selectors.EVENT_READ)
        self._thread.start()

    def show(self, batch: Batch) -> None:
        """Passes the batch on to who watches; never waits."""
        if not self._watchers:
            return
        line = encode(batch) + b"\n"
        with self._lock:
            for visitor in self._visitors:
                if visitor.watches and len(visitor.waiting) + len(line) <= MOST_WAITING_BYTES:
                    visitor.waiting += line
                elif visitor.watches:
                    visitor.missed += len(batch)
        self._wake()

    def close(self) -> None:
        """Sends everybody home."""
        self._over = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(1.0)
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        for one in (self._listener, self._wake_r, self._wake_w):
            one.close()
        self._selector.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # so many wakes wait that one more says nothing new
            self._wake_w.send(b"w")

    def _run(self) -> None:
        while not self._over:
            for key, events in self._selector.select():
                if key.fileobj is self._listener:
                    self._let_in()
                elif key.fileobj is self._wake_r:
                    self._wake_r.recv(4096)
                elif events & selectors.EVENT_READ:
                    self._listen(key.data)
            self._serve()
        for visitor in list(self._visitors):
            self._say_goodbye(visitor)

    def _let_in(self) -> None:
        line, _ = self._listener.accept()
        if len(self._visitors) >= MOST_VISITORS:
            line.close()
            return
        line.setblocking(False)
        visitor = _Visitor(line)
        with self._lock:
            self._visitors.add(visitor)
        self._selector.register(line, selectors.EVENT_READ, visitor)

    def _listen(self, visitor: _Visitor) -> None:
        try:
            heard = visitor.line.recv(_MOST_QUESTION_BYTES)
        except OSError:
            heard = b""
        visitor.asked += heard
        if not heard or len(visitor.asked) > _MOST_QUESTION_BYTES:
            self._say_goodbye(visitor)
            return
        while b"\n" in visitor.asked:
            question, _, rest = bytes(visitor.asked).partition(b"\n")
            visitor.asked = bytearray(rest)
            self._answer(visitor, question)

    def _answer(self, visitor: _Visitor, question: bytes) -> None:
        if question == b"status":
            try:
                state = self._state()
            except SidestreamError as error:
                state = {"error": str(error)}
            with self._lock:
                visitor.waiting += json.dumps(state, separators=(",", ":")).encode() + b"\n"
        elif question == b"watch" and not visitor.watches:
            visitor.watches = True
            self._watchers += 1

    def _serve(self) -> None:
        """Gives each visitor as much as its line takes now."""
        for visitor in list(self._visitors):
            with self._lock:
                try:
                    sent = visitor.line.send(visitor.waiting) if visitor.waiting else 0
                except BlockingIOError:
                    sent = 0
                except OSError:
                    sent = -1
                del visitor.waiting[: max(0, sent)]
                if visitor.missed and not visitor.waiting:
                    visitor.waiting += json.dumps({"missed": visitor.missed}).encode() + b"\n"
                    visitor.missed = 0
            if sent < 0:
                self._say_goodbye(visitor)
            else:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if visitor.waiting else 0)
                self._selector.modify(visitor.line, wanted, visitor)

    def _say_goodbye(self, visitor: _Visitor) -> None:
        with self._lock:
            self._visitors.discard(visitor)
        self._watchers -= visitor.watches
        self._selector.unregister(visitor.line)
        visitor.line.close()

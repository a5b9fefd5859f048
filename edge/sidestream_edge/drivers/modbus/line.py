"""A line that several drivers share: asked by one at a time, in turn, and not held up by devices that stay silent.

On a serial line a silent device costs its whole time-out, in which nobody else can be asked. So where a line is shared, no
time-out is longer than half the shortest period on it, and of the devices that are known to be silent at most one is tried
in each such period: whatever share of the devices is dead, the others have half of the line.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidestream_contracts.edge_modbus import ModbusDriver
from sidestream_contracts.errors import TransientError
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.modbus.link import Address, Link, TcpAddress, UnreachableError

LONGEST_REOPEN_S = 10.0
LONGEST_TURN_S = 60.0
_LOOK_S = 0.25


class Turns:
    """Lets in one at a time, in the order in which they came; a plain lock lets in whom it likes."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self, go_on: Callable[[], bool]) -> bool:
        """Waits for the turn and takes it; False, with nothing taken, when `go_on` says no. Asks it four times a second."""
        mine = threading.Event()
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            self._waiting.append(mine)
        while not mine.wait(_LOOK_S):
            if not go_on() and self._leave(mine):
                return False
        return True

    def give_back(self) -> None:
        """The next one's turn."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False

    def _leave(self, mine: threading.Event) -> bool:
        with self._guard:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True


class Line:
    """A link, whose turn it is to use it, and when it may be opened again."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._turns = Turns()
        self._backoff = Backoff(first_s=0.5, longest_s=LONGEST_REOPEN_S)
        self._reopen_s = 0.0
        self._why: UnreachableError | None = None
        self._periods_s: dict[object, float] = {}
        self._admit_s = 0.0

    def join(self, period_s: float) -> object:
        """A driver's run that polls every `period_s` uses the line from now on; what it is to `leave` with."""
        run = object()  # not the driver's id: a run that hangs may end after its successor has begun
        self._periods_s[run] = period_s
        return run

    def leave(self, run: object) -> bool:
        """The run uses it no longer; whether none does."""
        self._periods_s.pop(run, None)
        return not self._periods_s

    def timeout_s(self, wanted_s: float) -> float:
        """How long an answer may take without holding up others for more than half their period."""
        periods_s = list(self._periods_s.values())
        return min(wanted_s, min(periods_s) / 2) if len(periods_s) > 1 else wanted_s

    def admits(self, now_s: float) -> bool:
        """Whether a device that is known to be silent may be tried now; counts as tried."""
        periods_s = list(self._periods_s.values())
        if len(periods_s) > 1:
            if now_s < self._admit_s:
                return False
            self._admit_s = now_s + min(periods_s)
        return True

    def answered(self) -> None:
        """A device that was silent has answered: perhaps the line is whole again, and the others may be tried at once."""
        self._admit_s = 0.0

    @contextmanager
    def turn(self, go_on: Callable[[], bool]) -> Iterator[Link | None]:
        """The open link for one question, or None when `go_on` says no while waiting.

        UnreachableError while it can't be opened (tried anew after 0.5 s, up to 10 s), TransientError when the turn does
        not come.
        """
        late_s = time.monotonic() + LONGEST_TURN_S
        if not self._turns.take(lambda: go_on() and time.monotonic() < late_s):
            if time.monotonic() >= late_s:
                raise TransientError(
                    f"the line was busy for {LONGEST_TURN_S:.0f} s; too many devices, or periods too short"
                )
            yield None
            return
        try:
            self._open()
            yield self.link
        finally:
            self._turns.give_back()

    def _open(self) -> None:
        if self._why is not None and time.monotonic() < self._reopen_s:
            raise UnreachableError(str(self._why)) from self._why
        try:
            self.link.open()
        except UnreachableError as error:
            self._why = error
            self._reopen_s = time.monotonic() + self._backoff.next_s()
            raise
        if self._why is not None:
            self._why = None
            self._backoff.reset()


_guard = threading.Lock()
_shared: dict[str, Line] = {}


@contextmanager
def line_of(config: ModbusDriver) -> Iterator[Line]:
    """The line of a driver, for as long as it runs; drivers of one serial line or serial server get the same."""
    if not config.shares_line:
        line = Line(Link(address_of(config), config.answer_s))
        try:
            yield line
        finally:
            line.link.close()
        return
    with _guard:
        line = _shared.get(config.line) or _shared.setdefault(
            config.line, Line(Link(address_of(config), config.answer_s))
        )
        run = line.join(config.period_s)
    try:
        yield line
    finally:
        with _guard:
            if line.leave(run):
                _shared.pop(config.line, None)
                line.link.close()


def address_of(config: ModbusDriver) -> Address:
    """Where a driver's device is."""
    if config.serial is not None:
        return config.serial
    return TcpAddress(config.host or "", config.port, rtu=config.framing == "rtu")

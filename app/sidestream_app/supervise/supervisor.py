"""A set of child processes as one thing: started in dependency order, kept alive, ended within a time that is kept."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from sidestream_app.supervise.guardian import Guardian
from sidestream_app.supervise.keeper import Keeper, Shared, State
from sidestream_app.supervise.memory import tree_memory_mb
from sidestream_app.supervise.spec import ChildStartError, ProcessSpec
from sidestream_contracts.errors import ConfigurationError, DomainError

# Of the time for stopping, this is kept for killing and reaping what did not stop.
_KILL_RESERVE_S = 0.5


def _silent(_name: str, _what: str) -> None:
    """The default listener: nobody wants to know."""


class Supervisor:
    """Runs children so that none outlives it, not even when it is killed with SIGKILL.

    Not reusable: after `stop_all()` make a new one. `on_event(name, what)` is called from several threads, one call at
    a time; it must neither raise nor call back into the supervisor. Ctrl-C is the caller's: children have sessions of their own and
    do not see it; catch it and call `stop_all()`, or use the supervisor as a context manager.
    """

    def __init__(self, specs: Iterable[ProcessSpec] = (), on_event: Callable[[str, str], None] = _silent) -> None:
        self._listener = on_event
        self._one_call = threading.Lock()
        self._shared = Shared(threading.Event(), threading.Condition(), Guardian(), self._tell)
        self._keepers: dict[str, Keeper] = {}
        self._fresh: list[Keeper] = []
        self._depth: dict[str, int] = {}
        for spec in specs:
            self.add(spec)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def add(self, spec: ProcessSpec) -> None:
        """Adds a child, to be started by the next `start_all()`; what it depends on must have been added before.

        Raises ConfigurationError for a name used twice or an unknown dependency (so there can be no cycle).
        """
        if spec.name in self._keepers:
            raise ConfigurationError(f"Two processes are called '{spec.name}'; give each a name of its own.")
        unknown = [name for name in spec.depends_on if name not in self._keepers]
        if unknown:
            known = ", ".join(self._keepers) or "none"
            raise ConfigurationError(
                f"Process '{spec.name}' depends on {unknown}, not added before it. Added so far: {known}."
            )
        keeper = Keeper(spec, [self._keepers[name] for name in spec.depends_on], self._shared)
        self._keepers[spec.name] = keeper
        self._fresh.append(keeper)
        self._depth[spec.name] = 1 + max((self._depth[name] for name in spec.depends_on), default=0)

    def start_all(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Returns when every child added so far is ready; what does not depend on each other starts side by side.

        Raises KeyboardInterrupt soon after `interrupted()` has become true.

        Raises ConfigurationError (the child ended with exit code 2) or ChildStartError, with the end of the child's
        log. After these and any other exception (Ctrl-C) every child has been ended.
        """
        batch, self._fresh = self._fresh, []
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop_all)
            for keeper in batch:
                keeper.begin()
            with self._shared.changed:
                while not self._shared.changed.wait_for(lambda: self._settled(batch), timeout=0.2):
                    if interrupted():
                        raise KeyboardInterrupt
            for keeper in batch:
                if keeper.failure is not None:
                    raise keeper.failure
            undo.pop_all()

    def kill(self, name: str) -> int:
        """Kills the child with SIGKILL, as a fault; it is then restarted. Returns the pid killed.

        Raises DomainError when the child is not alive.
        """
        return self.send(name, signal.SIGKILL)

    def send(self, name: str, number: signal.Signals) -> int:
        """Sends any signal to the child itself (SIGSTOP freezes it, SIGCONT lets it go on); returns its pid.

        Raises DomainError when the child is not alive.
        """
        pid = self._keeper(name).send(number)
        if pid is None:
            raise DomainError(f"{name} is not alive ({self._keeper(name).state.value}): no signal can be sent to it.")
        return pid

    def restarts(self, name: str) -> int:
        """How often the child has been started again."""
        return self._keeper(name).restarts

    def wait_ready(self, name: str, *, restarts: int = 0, timeout_s: float = 30.0) -> None:
        """Returns when the child is ready and has been restarted at least `restarts` times.

        Raises ChildStartError when that takes longer than `timeout_s`, or the child has ended for good.
        """
        keeper = self._keeper(name)
        final = (State.FAILED, State.ENDED)
        with self._shared.changed:
            self._shared.changed.wait_for(
                lambda: (keeper.state is State.READY and keeper.restarts >= restarts) or keeper.state in final,
                timeout_s,
            )
            if keeper.state is not State.READY or keeper.restarts < restarts:
                raise ChildStartError(
                    f"{name} is not ready after {timeout_s:g} s: {keeper.state.value}, {keeper.restarts} restarts. "
                    f"Its log: {keeper.spec.log_path}"
                )

    def pids(self) -> dict[str, int]:
        """Process ids of the living children, by name."""
        return {name: pid for name, keeper in self._keepers.items() if (pid := keeper.pid) is not None}

    def memory_mb(self) -> dict[str, float]:
        """Memory of each living child with all that it started, in MB (10^6 bytes), as `tree_memory_mb` counts it."""
        return {name: tree_memory_mb(pid) for name, pid in self.pids().items()}

    def stop_all(self, timeout_s: float = 5.0) -> None:
        """Ends every child within `timeout_s` in total, dependents first; when it returns none is left.

        Each gets its stop signal and a fair share of the time that is left, then SIGKILL. May be called twice.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._shared.changed:
            self._shared.stopping.set()
            self._shared.changed.notify_all()
        levels = self._levels()
        for position, level in enumerate(levels):
            left_s = deadline_s - _KILL_RESERVE_S - time.monotonic()
            self._stop_level(level, max(left_s, 0.0) / (len(levels) - position))
        for keeper in self._begun():
            keeper.wait_end(deadline_s - time.monotonic())
        self._shared.guardian.close()

    def _stop_level(self, level: Sequence[Keeper], within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        for keeper in level:
            keeper.ask_to_stop()
        for keeper in level:
            if not keeper.wait_end(deadline_s - time.monotonic()):
                keeper.kill_tree()

    def _levels(self) -> list[list[Keeper]]:
        """The children begun, dependents before what they depend on."""
        depths = sorted({self._depth[keeper.spec.name] for keeper in self._begun()}, reverse=True)
        return [[keeper for keeper in self._begun() if self._depth[keeper.spec.name] == depth] for depth in depths]

    def _begun(self) -> list[Keeper]:
        return [keeper for keeper in self._keepers.values() if keeper not in self._fresh]

    def _settled(self, batch: Sequence[Keeper]) -> bool:
        """Whether there is nothing to wait for: one failed, all are ready, or the supervisor stops."""
        return (
            self._shared.stopping.is_set()
            or any(keeper.failure is not None for keeper in batch)
            or all(keeper.state is State.READY for keeper in batch)
        )

    def _keeper(self, name: str) -> Keeper:
        try:
            return self._keepers[name]
        except KeyError as error:
            raise DomainError(f"There is no process '{name}'. There are: {', '.join(self._keepers)}.") from error

    def _tell(self, name: str, what: str) -> None:
        with self._one_call:
            self._listener(name, what)

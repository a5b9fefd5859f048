"""One child kept alive by one thread.

The thread that starts a child waits for its end and lives longer than it. That makes three things simple: the kernel's
parent-death signal (which is bound to the starting thread) fires only when the whole supervisor dies; a death is seen
at once, without polling; restarts of one child never wait for another.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import psutil

from sidestream_app.supervise.backoff import Backoff
from sidestream_app.supervise.guardian import Guardian
from sidestream_app.supervise.logs import log_tail, open_log
from sidestream_app.supervise.memory import process_tree
from sidestream_app.supervise.spawn import spawn_bound
from sidestream_app.supervise.spec import ChildStartError, ProcessSpec, Started
from sidestream_contracts.errors import ConfigurationError, SidestreamError

_POLL_S = 0.05
_CONFIGURATION_EXIT = 2


class State(Enum):
    """Where a child stands; `FAILED` and `ENDED` are final."""

    WAITING = "waiting for what it depends on"
    STARTING = "starting"
    READY = "ready"
    RESTING = "waiting to be restarted"
    FAILED = "failed to start"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Shared:
    """What all keepers of one supervisor have in common; `changed` is notified at every change of state."""

    stopping: threading.Event
    changed: threading.Condition
    guardian: Guardian
    on_event: Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class _Life:
    """How one life of the child went."""

    how: str
    exit_code: int | None
    lived_s: float
    timed_out: bool = False
    log_offset: int = 0


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-code}"


class Keeper:
    """Keeps the child of `spec` alive from `begin()` until the supervisor stops."""

    def __init__(self, spec: ProcessSpec, needs: Sequence[Keeper], shared: Shared) -> None:
        self.spec = spec
        self.state = State.WAITING
        self.restarts = 0
        self.failure: SidestreamError | None = None
        self._needs = needs
        self._shared = shared
        self._backoff = Backoff()
        self._was_ready = False
        self._process: subprocess.Popen[bytes] | None = None
        self._tree: list[psutil.Process] = []
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"keeper-{spec.name}", daemon=True)

    def begin(self) -> None:
        """Starts the keeping; the child itself starts when all that it depends on is ready."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id of the living child, or None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def send(self, number: signal.Signals) -> int | None:
        """Sends a signal to the child itself, not to its group; returns its pid, None when it is not alive."""
        process = self._process
        if process is None or process.poll() is not None:
            return None
        process.send_signal(number)
        return process.pid

    def ask_to_stop(self) -> None:
        """Sends the stop signal once; the supervisor's `stopping` must be set, so that no new life begins."""
        with self._starting:
            pid = self.pid
        if pid is None:
            return
        self._shared.on_event(self.spec.name, "stopping")
        self._tree = process_tree(pid)
        self.send(self.spec.stop_signal)
        self.send(signal.SIGCONT)

    def wait_end(self, timeout_s: float) -> bool:
        """True when the keeper's thread has ended, and with it the child and its group."""
        if self._thread.ident is None:  # an interrupt came before it began
            return True
        self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def kill_tree(self) -> None:
        """Kills the child; its thread then kills what is left of group and tree."""
        if self.send(signal.SIGKILL) is not None:
            self._shared.on_event(self.spec.name, f"killed: it did not stop on {self.spec.stop_signal.name} in time")

    def _keep(self) -> None:
        try:
            if self._needs_ready():
                self._live_again_and_again()
        finally:
            if self.state is not State.FAILED:
                self._end()

    def _needs_ready(self) -> bool:
        """Waits until all dependencies are ready; False when the supervisor stops before."""
        with self._shared.changed:
            self._shared.changed.wait_for(
                lambda: self._shared.stopping.is_set() or all(need.state is State.READY for need in self._needs)
            )
        return not self._shared.stopping.is_set()

    def _live_again_and_again(self) -> None:
        attempts = 0
        while (life := self._live_once()) is not None and not self._shared.stopping.is_set():
            attempts += 1
            if not self._was_ready and self._hopeless(life, attempts):
                self._fail(life)
                return
            delay_s = self._backoff.after(life.lived_s)
            self._shared.on_event(self.spec.name, f"died ({life.how}); restart in {delay_s:g} s")
            self._set(State.RESTING)
            if self._shared.stopping.wait(delay_s):
                return
            self.restarts += 1

    def _hopeless(self, life: _Life, attempts: int) -> bool:
        return life.timed_out or life.exit_code == _CONFIGURATION_EXIT or attempts >= self.spec.first_attempts

    def _live_once(self) -> _Life | None:
        """One life from start to end; None when the supervisor stops and no life was begun."""
        begun_s = time.monotonic()
        with self._starting:
            if self._shared.stopping.is_set():
                return None
            try:
                started, process = self._spawn()
            except OSError as error:
                return _Life(f"can't be started: {error}", None, 0.0)
        timed_out = self._await_ready(started, process, begun_s)
        code = process.wait()
        self._clear_away(process.pid)
        how = f"not ready within {self.spec.ready_timeout_s:g} s" if timed_out else _ending(code)
        return _Life(how, code, time.monotonic() - begun_s, timed_out, started.log_offset)

    def _spawn(self) -> tuple[Started, subprocess.Popen[bytes]]:
        spec = self.spec
        self._shared.on_event(spec.name, "starting")
        self._set(State.STARTING)
        started_at_s = time.time()
        with open_log(spec.log_path) as log:
            offset = log.tell()
            process = spawn_bound(
                spec.argv,
                output=log,
                env=spec.env,
                cwd=spec.cwd,
                account=spec.account,
                death_signal=spec.death_signal,
            )
        self._shared.guardian.guard(process.pid)
        self._process = process
        return Started(process.pid, spec.log_path, offset, started_at_s), process

    def _await_ready(self, started: Started, process: subprocess.Popen[bytes], begun_s: float) -> bool:
        """Waits for ready, death or stop; True when the time ran out, and the child is then killed."""
        deadline_s = begun_s + self.spec.ready_timeout_s
        while process.poll() is None and not self._shared.stopping.is_set():
            if self.spec.ready(started):
                self._was_ready = True
                self._set(State.READY)
                self._shared.on_event(self.spec.name, f"ready after {time.monotonic() - begun_s:.2f} s")
                return False
            if time.monotonic() > deadline_s:
                process.kill()
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
        return False

    def _clear_away(self, group: int) -> None:
        """Kills what the dead child left in its group, and what of its tree had left the group by itself."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for process in self._tree:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()
        self._shared.guardian.release(group)

    def _fail(self, life: _Life) -> None:
        name, log_path = self.spec.name, self.spec.log_path
        tail = log_tail(log_path, life.log_offset) if log_path.exists() else "(there is no log)"
        kind = ConfigurationError if life.exit_code == _CONFIGURATION_EXIT else ChildStartError
        self.failure = kind(f"{name} did not start: {life.how}. The end of its log, {log_path}:\n{tail}")
        self._shared.on_event(name, f"failed ({life.how})")
        self._set(State.FAILED)

    def _end(self) -> None:
        """An end that nobody asked for is a failure too: a condition or listener raised, and its thread with it."""
        if not self._shared.stopping.is_set():
            self.failure = ChildStartError(
                f"{self.spec.name} is no longer supervised: its ready condition or the event listener raised an error, "
                "whose traceback stands on stderr. Mend that and start again."
            )
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            self._clear_away(self._process.pid)
        self._set(State.ENDED)

    def _set(self, state: State) -> None:
        with self._shared.changed:
            self.state = state
            self._shared.changed.notify_all()

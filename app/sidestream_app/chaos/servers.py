"""A server that can be killed, or taken away for a while and brought back."""

from __future__ import annotations

from collections.abc import Callable

from sidestream_app.supervise import ProcessSpec, Supervisor, tree_memory_mb
from sidestream_contracts.errors import DomainError


class Server:
    """One child under a supervisor of its own; `spec` is asked anew at each start."""

    def __init__(self, name: str, spec: Callable[[], ProcessSpec], say: Callable[[str, str], None]) -> None:
        self.name = name
        self._spec, self._say = spec, say
        self._supervisor: Supervisor | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is meant to be there."""
        return self._supervisor is not None

    def start(self) -> None:
        """Returns when it is ready; from then on it is restarted whenever it dies."""
        if self._supervisor is None:
            supervisor = Supervisor([self._spec()], self._say)
            supervisor.start_all()
            self._supervisor = supervisor

    def stop(self) -> None:
        """Ends it in good order; it stays away until `start`."""
        if self._supervisor is not None:
            supervisor, self._supervisor = self._supervisor, None
            supervisor.stop_all()

    def kill(self) -> int:
        """SIGKILL; it is then restarted by itself. The pid; DomainError where it is not alive."""
        return self._there().kill(self.name)

    def restarts(self) -> int:
        """How often it was restarted since `start`."""
        return self._there().restarts(self.name)

    def wait_ready(self, restarts: int = 0, timeout_s: float = 15.0) -> None:
        """Returns when it is ready and was restarted at least so often; ChildStartError after `timeout_s`."""
        self._there().wait_ready(self.name, restarts=restarts, timeout_s=timeout_s)

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is away."""
        return self._supervisor.pids().get(self.name) if self._supervisor else None

    def memory_mb(self) -> float:
        """Memory of all its processes, MB; 0 while it is away."""
        return tree_memory_mb(pid) if (pid := self.pid) else 0.0

    def _there(self) -> Supervisor:
        if self._supervisor is None:
            raise DomainError(f"{self.name} is taken away just now.")
        return self._supervisor

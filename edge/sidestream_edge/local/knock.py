"""The visitor's side: asks a running agent for its state, or watches what passes, without disturbing it."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sidestream_contracts.errors import ConfigurationError, DomainError, TransientError
from sidestream_edge.bus import decode
from sidestream_edge.local.address import at, door_of, new_socket
from sidestream_edge.measurement import Batch
from sidestream_edge.outbox import lock_holder

PATIENCE_S = 3.0


class NobodyError(DomainError):
    """No agent runs on this outbox."""


class Knock:
    """A visit at the agent that holds `outbox`: NobodyError if none does, TransientError if it does not answer."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox
        self._line = new_socket()
        self._buffer = bytearray()
        self._line.settimeout(PATIENCE_S)
        try:
            at(door_of(outbox), self._line.connect)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            self._line.close()
            raise self._nobody() from error
        except PermissionError as error:
            self._line.close()
            raise ConfigurationError(
                f"The agent's door {door_of(outbox)} belongs to another user; ask as that one, for instance with sudo."
            ) from error
        except OSError as error:
            self._line.close()
            raise TransientError(f"The agent of {outbox} does not open: {error}.") from error

    def _nobody(self) -> NobodyError | TransientError:
        holder = lock_holder(self._outbox)
        if holder is None:
            return NobodyError(f"No agent runs on the outbox {self._outbox}.")
        return TransientError(
            f"Process {holder} holds the outbox {self._outbox} but can't be asked: it is just starting, its door"
            " could not be made (see its log), or it is of an earlier version."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def state(self) -> dict[str, Any]:
        """What the agent says of itself now; TransientError when it does not answer (it hangs, or its machine is busy)."""
        self._line.sendall(b"status\n")
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            for line in self._lines(deadline_s - time.monotonic()):
                body = json.loads(line)
                if isinstance(body, dict) and "status" in body:
                    return body
                if isinstance(body, dict) and "error" in body:
                    raise TransientError(f"The agent can't tell its state now: {body['error']}")
        raise TransientError(
            f"The agent of {self._outbox} (process {lock_holder(self._outbox)}) has not answered for {PATIENCE_S:.0f} s:"
            " it hangs or the machine is very busy. See its log; it may have to be restarted."
        )

    def watch(self) -> None:
        """From now on `passing` gives what passes."""
        self._line.sendall(b"watch\n")

    def passing(self, timeout_s: float) -> Iterator[Batch | int]:
        """Batches that have passed, waiting up to `timeout_s` for the first; a number says how many readings were missed.

        NobodyError when the agent ends.
        """
        for line in self._lines(timeout_s):
            body = json.loads(line)
            if isinstance(body, list):
                yield decode(line)
            elif "missed" in body:
                yield int(body["missed"])

    def _lines(self, timeout_s: float) -> list[bytes]:
        if select.select([self._line], [], [], max(0.0, timeout_s))[0]:
            try:
                data = self._line.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                raise NobodyError(f"The agent of {self._outbox} has ended.")
            self._buffer += data
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        return lines

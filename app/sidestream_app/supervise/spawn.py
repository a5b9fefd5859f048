"""Starting a program bound to this process: own session, own log, fewer privileges, no life after ours."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sidestream_contracts.errors import ConfigurationError

_LAUNCHER = Path(__file__).with_name("bound.py")
_UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A system account that a program is to run as."""

    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account for programs that must not run as root; None when we are not root ourselves.

    Raises ConfigurationError when this machine has no account `nobody`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise ConfigurationError(
            f"Started as root, but there is no account '{_UNPRIVILEGED}' to run the servers as. "
            "Start as an ordinary user instead."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def bound_argv(argv: Sequence[str], account: Account | None, death_signal: signal.Signals) -> list[str]:
    """The command line that runs `argv` as `account` and ends it with the calling process (see `bound`)."""
    uid, gid = (account.uid, account.gid) if account is not None else (-1, -1)
    numbers = (str(number) for number in (os.getpid(), int(death_signal), uid, gid))
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *numbers, *argv]


def spawn_bound(
    argv: Sequence[str],
    *,
    output: IO[bytes],
    env: Mapping[str, str],
    cwd: Path | None = None,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Starts `argv` in a session of its own; the kernel sends it `death_signal` when the calling THREAD ends.

    So call it from a thread that lives as long as the child. `env` is laid over our environment; stdout and stderr go
    to `output`. `cwd` is entered before privileges are dropped. Raises OSError when the process can't be made; a
    program that can't be run shows as exit code 126 and a line in `output`.
    """
    return subprocess.Popen(
        bound_argv(argv, account, death_signal),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **env},
        cwd=cwd,
        start_new_session=True,
    )

"""Giving up root inside a running process without losing the bond to its parent."""

from __future__ import annotations

import ctypes
import os
import sys

from sidestream_app.supervise import unprivileged_account
from sidestream_app.supervise.bound import die_with_parent, drop_privileges

_PR_GET_PDEATHSIG = 2


def give_up_root() -> None:
    """After it a process that was root runs as `nobody`, still ending with its parent if it did before.

    The kernel clears the parent-death signal at a change of credentials, so it is read before and set again after.
    """
    account = unprivileged_account()
    if account is None:
        return
    parent_pid, death_signal = os.getppid(), _parent_death_signal()
    drop_privileges(account.uid, account.gid)
    if death_signal:
        die_with_parent(parent_pid, death_signal)


def _parent_death_signal() -> int:
    """The signal asked for at the parent's death; 0 for none."""
    if sys.platform != "linux":
        return 0
    number = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value

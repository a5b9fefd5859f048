"""Supervision of named child processes: start in order, keep alive, end without leaving anything behind.

`ProcessSpec` says what a child is, `Supervisor` runs a set of them, the functions of `conditions` say when one is ready.
"""

from __future__ import annotations

from sidestream_app.supervise.conditions import all_of, file_exists, http_ok, log_line, tcp_open
from sidestream_app.supervise.memory import tree_memory_mb
from sidestream_app.supervise.spawn import Account, unprivileged_account
from sidestream_app.supervise.spec import ChildStartError, Condition, ProcessSpec, Started
from sidestream_app.supervise.supervisor import Supervisor

__all__ = [
    "Account",
    "ChildStartError",
    "Condition",
    "ProcessSpec",
    "Started",
    "Supervisor",
    "all_of",
    "file_exists",
    "http_ok",
    "log_line",
    "tcp_open",
    "tree_memory_mb",
    "unprivileged_account",
]

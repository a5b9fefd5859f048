"""Memory of a process and everything it started, counted so that shared pages are not counted twice."""

from __future__ import annotations

import psutil

_BYTES_PER_MB = 1e6


def _process_bytes(process: psutil.Process) -> int:
    """PSS where the kernel lets us read it, else RSS, which counts shared pages in full; 0 once the process is gone."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.AccessDenied:
        return _resident_bytes(process)
    except psutil.NoSuchProcess:
        return 0


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def process_tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def tree_memory_mb(pid: int) -> float:
    """Memory of the process tree under `pid` in MB (10^6 bytes): the sum of PSS, of RSS where PSS can't be read."""
    return sum(_process_bytes(process) for process in process_tree(pid)) / _BYTES_PER_MB

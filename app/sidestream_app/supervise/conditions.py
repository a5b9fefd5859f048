"""When a started child counts as ready. Each condition is asked every 50 ms and answers within about a second."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from sidestream_app.supervise.spec import Condition, Started

_CONNECT_TIMEOUT_S = 0.5
_HTTP_TIMEOUT_S = 1.0
# File times come from the kernel's coarse clock, which lags the fine one by up to a tick.
_CLOCK_SLACK_S = 0.02


def tcp_open(host: str, port: int) -> Condition:
    """Ready when `host:port` accepts a connection. Whoever listens there: check with `require_free` before."""

    def accepts(_: Started) -> bool:
        try:
            with socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_S):
                return True
        except OSError:
            return False

    return accepts


def http_ok(url: str) -> Condition:
    """Ready when a GET of `url` (http) is answered with status 200, without going through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers(_: Started) -> bool:
        try:
            with opener.open(url, timeout=_HTTP_TIMEOUT_S) as response:
                return bool(response.status == HTTPStatus.OK)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except (OSError, HTTPException):
            return False

    return answers


def file_exists(path: Path) -> Condition:
    """Ready when `path` has been written since the child's start; a file of an earlier life does not count."""

    def is_new(started: Started) -> bool:
        try:
            return path.stat().st_mtime >= started.started_at_s - _CLOCK_SLACK_S
        except FileNotFoundError:
            return False

    return is_new


def log_line(pattern: str) -> Condition:
    """Ready when the regular expression is found in what the child has logged in this life."""
    expression = re.compile(pattern.encode())

    def is_logged(started: Started) -> bool:
        with started.log_path.open("rb") as log:
            log.seek(started.log_offset)
            return expression.search(log.read()) is not None

    return is_logged


def all_of(*conditions: Condition) -> Condition:
    """Ready when every one of `conditions` is."""

    def all_hold(started: Started) -> bool:
        return all(condition(started) for condition in conditions)

    return all_hold

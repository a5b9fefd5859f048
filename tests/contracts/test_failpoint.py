"""Failpoints: without effect unless asked for, deadly at exactly the pass that was asked for, refused where misspelt."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sidestream_contracts import failpoint
from sidestream_contracts.errors import ConfigurationError


def test_a_point_does_nothing_unless_it_is_armed(monkeypatch):
    monkeypatch.delenv(failpoint.VARIABLE, raising=False)
    failpoint.arm()
    for point in failpoint.POINTS:
        failpoint.reach(point)


def test_the_process_dies_at_the_pass_that_was_named():
    code = (
        "from sidestream_contracts import failpoint as f; f.arm(); f.reach('edge.after_store')\n"
        "for n in range(9): print(n, flush=True); f.reach('ingest.after_commit')"
    )
    env = {failpoint.VARIABLE: "edge.after_delete, ingest.after_commit@3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1", "2"]


@pytest.mark.parametrize("text", ["ingest.nowhere", "ingest.after_commit@0", "ingest.after_commit@x", "@2"])
def test_a_point_that_does_not_exist_is_a_configuration_error(monkeypatch, text):
    monkeypatch.setenv(failpoint.VARIABLE, text)
    with pytest.raises(ConfigurationError, match=failpoint.VARIABLE):
        failpoint.arm()

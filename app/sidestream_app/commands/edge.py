"""`sidestream edge run`."""

from __future__ import annotations

from pathlib import Path


def run(file: Path, /) -> int:
    """Run the agent until SIGTERM or Ctrl-C.

    Parameters
    ----------
    file
        The edge.yaml of this gateway.
    """
    from sidestream_edge.agent import serve

    return serve(file)

"""`sidestream schemas write`."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, /) -> int:
    """Write JSON Schema and AsyncAPI of contract v1.

    Parameters
    ----------
    folder
        Where to write; `contracts/generated/v1` in the source tree.
    """
    from sidestream_contracts.schemas import write as run

    run(folder)
    return 0

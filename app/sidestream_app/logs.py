"""The log of every command: the lines of the edge agent's, without what the database pool says of each attempt."""

from __future__ import annotations

import logging

from sidestream_edge import logs


def configure_logging() -> None:
    """Every logger of ours writes plain lines to stderr from the level in SIDESTREAM_LOG on.

    What the database pool says of each attempt is left out: whoever asks it says so once, in words of ours.
    """
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    logs.configure()

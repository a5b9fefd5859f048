"""Log lines for people: time with zone, level, what happened, then the facts; on stderr, so that stdout stays for results.

The agent, the processes of its drivers and every other command write alike, because their lines stand in one journal.
"""

from __future__ import annotations

import logging
import os
import sys

import structlog

LEVEL_VARIABLE = "SIDESTREAM_LOG"
"""Environment variable: debug, info (default), warning or error."""


def configure() -> None:
    """From now on structlog writes plain lines to stderr from the level in SIDESTREAM_LOG on."""
    name = os.environ.get(LEVEL_VARIABLE, "info").upper()
    level = logging.getLevelNamesMapping().get(name, logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )

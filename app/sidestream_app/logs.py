"""Log lines for people: time with zone, level, what happened, then the facts; on stderr, so that stdout stays for results."""

from __future__ import annotations

import logging
import os
import sys

_HIDDEN = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type]
import structlog  # noqa: E402  # would load rich for tracebacks that we print plainly: half of a command's start

if _HIDDEN:
    del sys.modules["rich"]  # the command line draws its helps and errors with it

LEVEL_VARIABLE = "SIDESTREAM_LOG"
"""Environment variable: debug, info (default), warning or error."""


def configure_logging() -> None:
    """Every logger of ours writes plain lines to stderr from the level in SIDESTREAM_LOG on.

    What the database pool says of each attempt is left out: whoever asks it says so once, in words of ours.
    """
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
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

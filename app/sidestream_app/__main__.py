"""`python -m sidestream_app` is `sidestream`: here is where both begin, so that Ctrl-C ends them cleanly from the first moment."""

from __future__ import annotations

import sys


def main() -> None:
    """Loads the command line, which takes most of a second, and runs it."""
    try:
        from sidestream_app.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

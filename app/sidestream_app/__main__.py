"""`python -m sidestream_app` is `sidestream`: here is where both begin, so that Ctrl-C ends them cleanly from the first moment."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Loads the command line, which takes about half a second, and runs it.

    Linear algebra keeps to one thread unless the environment says otherwise: our matrices are small, and OpenBLAS's
    threads wait for each other longer than they work, most of all where other processes use the same cores.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # OpenBLAS reads it once, when numpy is first imported
    try:
        from sidestream_app.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

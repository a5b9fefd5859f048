"""`sidestream twin update`."""

from __future__ import annotations

import json
import sys

from sidestream_app.commands.options import AsJson, Dsn


def update(*, dsn: Dsn, as_json: AsJson = False) -> int:
    """Recompute whatever is dirty, in bounded passes, until nothing is; safe to run beside the flows process."""
    from sidestream_twin.update import update_until_clean

    report = update_until_clean(dsn, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(report.as_dict()) if as_json else report)
    return 0

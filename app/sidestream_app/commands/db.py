"""`sidestream db migrate`."""

from __future__ import annotations

import json

from sidestream_app.commands.options import AsJson, Dsn


def migrate(*, dsn: Dsn, as_json: AsJson = False) -> int:
    """Bring the database to the newest schema; safe to run at any time, by several at once."""
    from sidestream_store.migrate import migrate as run

    done = run(dsn)
    if as_json:
        print(json.dumps({"applied": list(done.applied), "profile": done.profile}))
    else:
        what = ", ".join(done.applied) if done.applied else "nothing, it is up to date"
        print(f"Applied: {what}. Storage profile: {done.profile}.")
    return 0

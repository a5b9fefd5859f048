"""`sidestream db migrate` and `sidestream db viewer`."""

from __future__ import annotations

import json
import os

from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.errors import ConfigurationError

PASSWORD_VARIABLE = "SIDESTREAM_VIEWER_PASSWORD"  # noqa: S105  the variable's name


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


def viewer(name: str, /, *, dsn: Dsn, as_json: AsJson = False) -> int:
    """Make the login role NAME, which reads the views and nothing else; live page and Grafana log in with it.

    Its password is taken from the environment variable SIDESTREAM_VIEWER_PASSWORD, so that it stands on no command
    line. Safe to run again: the role then has the password of now.

    Parameters
    ----------
    name
        The role, e.g. sidestream_view.
    """
    from sidestream_store.roles import ensure_viewer

    password = os.environ.get(PASSWORD_VARIABLE, "")
    if not password:
        raise ConfigurationError(
            f"The viewer {name!r} needs a password: set the environment variable {PASSWORD_VARIABLE} and run this again."
        )
    ensure_viewer(dsn, name, password)
    print(json.dumps({"viewer": name}) if as_json else f"Role {name} can log in and read the views.")
    return 0

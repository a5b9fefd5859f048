"""`sidestream db migrate`, `sidestream db viewer` and `sidestream db maintain`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

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


def maintain(
    *,
    dsn: Dsn,
    dry_run: Annotated[bool, Parameter(negative=(), help="Change nothing, only tell what would go.")] = False,
    vacuum: Annotated[
        bool, Parameter(negative=(), help="Also clear dead rows, and compress every chunk that is over (TimescaleDB).")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Keep the database in order: partitions for two weeks ahead, and drop what `retention` in hub.yaml lets go.

    The daily flow does the same; by hand it is for trying a new retention (`--dry-run`) and after a large drop (`--vacuum`).
    Nothing is dropped by age unless hub.yaml names a number of days, but for closed quarantine entries and single frames
    of the ledger. Safe to run at any time.
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.maintenance import maintain as run

    with open_connection(dsn, "maintain", autocommit=True) as connection:
        done = run(connection, dry_run=dry_run, vacuum=vacuum)
    if as_json:
        print(json.dumps(asdict(done), default=str))
        return 0
    would = "would be " if dry_run else ""
    print(f"Storage profile: {done.profile}. {done.partitions} partitions made ahead.")
    for gone in done.gone:
        size = "" if gone.size is None else f", {gone.size / 1e6:.1f} MB"
        print(
            f"{gone.part}: {gone.count} {gone.things} from before {gone.before:%Y-%m-%d %H:%M} UTC {would}dropped{size}"
        )
    if not done.gone:
        print("Nothing is old enough to go.")
    print("On disk, MB: " + ", ".join(f"{part} {size / 1e6:.1f}" for part, size in done.sizes.items()))
    for hint in done.hints:
        print(f"Note: {hint}")
    return 0

"""`sidestream hub check` and `sidestream hub apply`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import LISTS, load_hub


def check(file: Path, /, *, as_json: AsJson = False) -> int:
    """Check a `hub.yaml` without touching anything.

    Every mistake is told with file, line, the wrong value, what is allowed and the nearest known id (exit code 2).

    Parameters
    ----------
    file
        The hub.yaml to check.
    """
    hub = load_hub(file)
    if as_json:
        print(json.dumps({"file": str(file), "hub": hub.hub.id, "ok": True, "counts": _counts(hub)}))
    else:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in _counts(hub).items() if count)
        synthetic = " All figures are synthetic." if hub.hub.synthetic else ""
        print(f"{file}: hub {hub.hub.id!r} is well-formed: {counts}.{synthetic}")
    return 0


def _counts(hub: HubFile) -> dict[str, int]:
    return {name: len(getattr(hub, name)) for name in LISTS}


def apply(
    file: Path,
    /,
    *,
    dsn: Dsn,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show the difference.")] = False,
    as_json: AsJson = False,
) -> int:
    """Bring the database to a `hub.yaml`, all or nothing; a wrong file changes nothing (exit code 2).

    Parameters
    ----------
    file
        The hub.yaml to apply.
    """
    from sidestream_store.hub_apply import apply_hub

    diff = apply_hub(dsn, load_hub(file), file.parent, dry_run=dry_run)
    if as_json:
        print(json.dumps({**asdict(diff), "applied": not dry_run}))
        return 0
    for sign, names in (("+", diff.added), ("~", diff.changed), ("-", diff.removed)):
        for name in names:
            print(f"{sign} {name}")
    print("Nothing to change." if not diff else "Not applied (dry run)." if dry_run else "Applied.")
    return 0

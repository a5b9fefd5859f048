"""`sidestream db backup` and `sidestream db restore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson, Dsn
from sidestream_app.commands.progress import Progress


def backup(
    file: Path,
    /,
    *,
    dsn: Dsn,
    force: Annotated[bool, Parameter(negative=(), help="Overwrite FILE.")] = False,
    as_json: AsJson = False,
) -> int:
    """Write the whole hub as of now into FILE, while everything goes on.

    Every table: the hub and its history, readings, the ledger, quarantine, roll-ups, the twin. One zip file, readable by
    its owner alone; it is there whole or not at all. Not in it: logins and their passwords, Grafana's and Prefect's own
    databases, and what gateways have not yet sent. Log in as the owner of the database.

    Parameters
    ----------
    file
        Where to, e.g. hub-2026-11-22.sidestream.zip.
    """
    from sidestream_store.backup.archive import manifest_facts
    from sidestream_store.backup.save import save

    with Progress() as progress:
        manifest = save(dsn, file, force=force, progress=progress.table)
    facts = {
        "file": str(file),
        "file_bytes": file.stat().st_size,
        "seconds": progress.seconds,
        **manifest_facts(manifest),
    }
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        print(
            f"{file}: hub {manifest.hub} as of {manifest.made_at:%Y-%m-%d %H:%M:%S}Z, {manifest.rows:,} rows of "
            f"{len(manifest.tables)} tables, {file.stat().st_size / 1e6:.1f} MB in {progress.seconds:.1f} s."
        )
    return 0


def restore(
    file: Path,
    /,
    *,
    dsn: Dsn,
    force: Annotated[bool, Parameter(negative=(), help="Delete the hub that the database holds.")] = False,
    as_json: AsJson = False,
) -> int:
    """Fill an empty database from a backup, of either storage profile, and bring it to the newest schema.

    FILE is checked to the last byte before the database is touched. Refuses (exit code 2, nothing changed) a damaged file,
    one made by a newer version, and a database that holds a hub. Stop ingest, flows, publish and web before; afterwards
    make the login that reads (`sidestream db viewer`) if this is a new server. Log in as the owner of the database.

    Parameters
    ----------
    file
        A file that `sidestream db backup` wrote.
    """
    from sidestream_store.backup.archive import manifest_facts
    from sidestream_store.backup.load import load

    with Progress() as progress:
        done = load(dsn, file, force=force, progress=progress.table)
    facts = {
        "seconds": progress.seconds,
        "restored_into": done.profile,
        "migrated": list(done.migrated),
        **manifest_facts(done.manifest),
    }
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        forward = f" Then migrated: {', '.join(done.migrated)}." if done.migrated else ""
        print(
            f"Hub {done.manifest.hub} as of {done.manifest.made_at:%Y-%m-%d %H:%M:%S}Z is back: {done.manifest.rows:,} rows "
            f"in {progress.seconds:.1f} s. Storage profile: {done.profile}, was {done.manifest.profile}.{forward}"
        )
    return 0

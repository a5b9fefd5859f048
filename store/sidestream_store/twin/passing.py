"""One pass of the twin is one transaction: a crash anywhere leaves everything as it was, claims included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sidestream_store.connect import Connection, open_connection, transient_errors


@contextmanager
def session(target: str | Connection) -> Iterator[Connection]:
    """A connection to work on: the given one, left open, or a new one to the given address, closed afterwards."""
    if not isinstance(target, str):
        yield target
        return
    connection = open_connection(target, "twin", autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def one_pass(connection: Connection) -> Iterator[None]:
    """All that happens inside is committed at its end or not at all, and no other pass runs meanwhile.

    One lock for the hub, not one for each subject: subjects share sensors, stocks read what streams wrote, and a pass is
    short. `hub apply` waits as well, so that a pass sees one version of the hub. TransientError when the database goes
    away inside.
    """
    with transient_errors("update the twin"), connection.transaction():
        connection.execute("SET LOCAL timezone = 'UTC'")
        connection.execute("SET LOCAL jit = off")
        connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext('sidestream.hub_apply'))")
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('sidestream.twin'))")
        yield


def cancel(connection: Connection) -> None:
    """What the connection is doing in another thread ends at once with TransientError; harmless if it does nothing."""
    with transient_errors("cancel a pass of the twin"):
        connection.cancel_safe(timeout=1.0)

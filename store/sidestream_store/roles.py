"""Login roles that only read the views."""

from __future__ import annotations

from psycopg import sql

from sidestream_store.connect import open_connection, transient_errors


def ensure_viewer(dsn: str, name: str, password: str) -> None:
    """A login role `name` exists, with this password, that reads the views of this database and nothing else."""
    with open_connection(dsn, "roles", autocommit=True) as connection, transient_errors("make a viewer"):
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        verb = sql.SQL("ALTER ROLE" if found else "CREATE ROLE")
        connection.execute(sql.SQL("{} {} LOGIN PASSWORD {}").format(verb, sql.Identifier(name), sql.Literal(password)))
        connection.execute(sql.SQL("GRANT sidestream_viewer TO {}").format(sql.Identifier(name)))

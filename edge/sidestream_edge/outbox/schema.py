"""The outbox file: its tables, how it is opened, and what happens to one that SQLite can't read."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.outbox.ballast import Ballast

VERSION = 3

_TABLES = """
CREATE TABLE epoch (id INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE, prev TEXT, started_at TEXT NOT NULL);
CREATE TABLE assigned (epoch_id INTEGER NOT NULL, lane TEXT NOT NULL, last_seq INTEGER NOT NULL, PRIMARY KEY (epoch_id, lane));
CREATE TABLE frame (
    lane TEXT NOT NULL, epoch_id INTEGER NOT NULL REFERENCES epoch (id), seq INTEGER NOT NULL,
    channel TEXT NOT NULL, payload BLOB NOT NULL, hash TEXT NOT NULL, stored_at TEXT NOT NULL,
    PRIMARY KEY (lane, epoch_id, seq)
);
CREATE TABLE cursor (driver TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE parked (
    epoch TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL,
    channel TEXT NOT NULL, payload BLOB NOT NULL, hash TEXT NOT NULL, reason TEXT NOT NULL, parked_at TEXT NOT NULL,
    PRIMARY KEY (epoch, lane, seq)
);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL,
    channel TEXT NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE packet_limit (source TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
"""
_SINCE_2 = """
CREATE TABLE spool (id INTEGER PRIMARY KEY, channel TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE mark (
    driver TEXT NOT NULL, sensor TEXT NOT NULL, slot INTEGER NOT NULL,
    n INTEGER NOT NULL, t INTEGER NOT NULL, val REAL, PRIMARY KEY (driver, sensor, slot)
) WITHOUT ROWID;
"""
_SINCE_3 = """
ALTER TABLE spool ADD COLUMN part INTEGER NOT NULL DEFAULT 1;
"""


def now_text() -> str:
    """The time of day as ISO 8601 text, UTC."""
    return datetime.now(UTC).isoformat()


def open_file(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """A whole outbox at `path`, and where an unreadable earlier one was moved to (None in the usual case).

    On a full disk the ballast is given up first; if that is not enough, an outbox that exists is opened without the file
    that lets others look in. Raises ConfigurationError where no file can be made or a newer Sidestream wrote it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _open_whole(path, alone=False)
        except sqlite3.OperationalError:
            if Ballast(path).drop():
                return _open_whole(path, alone=False)
            return _open_whole(path, alone=True)
    except (sqlite3.OperationalError, OSError) as error:
        raise ConfigurationError(
            f"The outbox {path} can't be opened: {error}. Name a file on a writable disk with free space in outbox.path"
            " of edge.yaml."
        ) from error


def _open_whole(path: Path, *, alone: bool) -> tuple[sqlite3.Connection, Path | None]:
    aside = None if _is_whole(path, alone=alone) else _set_aside(path)
    return _open(path, alone=alone), aside


def _is_whole(path: Path, *, alone: bool) -> bool:
    """Whether SQLite finds the file sound; a torn tail of its write-ahead log is mended by SQLite itself."""
    if not path.exists():
        return True
    try:
        with closing(_connect(path, alone=alone)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return False


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}")
    path.rename(aside)
    for tail in ("-wal", "-shm"):
        beside = path.with_name(path.name + tail)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + tail))
    return aside


def _connect(path: Path, *, alone: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    if alone:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
    return db


def _open(path: Path, *, alone: bool) -> sqlite3.Connection:
    db = _connect(path, alone=alone)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA cache_size=-2000")
        db.execute("PRAGMA journal_size_limit=16777216")
        if _version(db, path) == 0:
            db.executescript(f"BEGIN; {_TABLES} {_SINCE_2} {_SINCE_3} PRAGMA user_version={VERSION}; COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise ConfigurationError(
            f"The outbox {path} has format {version}; this Sidestream knows {VERSION}. Run the newer Sidestream again,"
            " or name another outbox.path in edge.yaml."
        )
    return version


def upgrade(db: sqlite3.Connection) -> None:
    """Brings an older file to this version, inside the caller's transaction."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    for version, changes in ((2, _SINCE_2), (3, _SINCE_3)):
        if found < version:
            for statement in changes.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={version}")

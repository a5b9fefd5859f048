"""What lies in the folder of an embedded PostgreSQL, and what it remembers between runs.

```
DATA_DIR/server.json   port and superuser's password, mode 0600
DATA_DIR/cluster/      PostgreSQL's own data, owned by the account that it runs as
DATA_DIR/postgres.log
```
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError

SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class ServerFile:
    """Port (0: not chosen yet) and superuser's password of one data directory, kept across restarts."""

    port: int
    password: str

    def with_port(self, port: int) -> ServerFile:
        return replace(self, port=port)


def load_or_create(data_dir: Path) -> ServerFile:
    """The file of `data_dir`, made with a random password when there is none.

    Raises ConfigurationError when it can't be read or written, or is not ours.
    """
    path = data_dir / "server.json"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            save(data_dir, ServerFile(port=0, password=secrets.token_urlsafe(24)))
        content = json.loads(path.read_text())
        return ServerFile(port=int(content["port"]), password=str(content["password"]))
    except OSError as error:
        raise ConfigurationError(
            f"Cannot use {data_dir} as data directory of PostgreSQL: {error.strerror}. "
            "Choose a folder that you may write, or start as the user who made it."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is damaged: expected JSON with 'port' and 'password'. Without the password the data can't be "
            "opened; restore the file, or start afresh with an empty data directory."
        ) from error


def save(data_dir: Path, content: ServerFile) -> None:
    """Replaces the file at one stroke, readable by the owner only."""
    path = data_dir / "server.json"
    scratch = path.with_suffix(".tmp")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(asdict(content), stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)


@dataclass(frozen=True, slots=True)
class PidFile:
    """What PostgreSQL itself says in `postmaster.pid`; `status` is `starting`, `ready`, `stopping` or still empty."""

    pid: int
    status: str


def read_pid_file(cluster: Path) -> PidFile | None:
    """The server's own word about its state; None when there is none, or it is just being written."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return PidFile(int(lines[0]), lines[7].strip() if len(lines) > 7 else "")
    except (FileNotFoundError, ValueError, IndexError):
        return None


def is_postgres(pid: int) -> bool:
    """Whether process `pid` is a living PostgreSQL, and not another that got a dead one's number."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except (FileNotFoundError, ProcessLookupError):
        return False

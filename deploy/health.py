"""Exit code 0 when everything asked for holds in this container, else 1 and a sentence; needs no package and no shell.

    health.py http http://127.0.0.1:8080/api/v1/health     answers with a 2xx status
    health.py listening 15020 15021                        something listens on each of these ports
    health.py connected timescaledb:5432 mosquitto:1884    this container holds a connection to each of these ports

`connected` reads the kernel's list of connections, which in a container are those of its one program: that the program
runs is not enough, it must have reached its servers. Only the port is compared; the name says whose it is.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

ESTABLISHED, LISTEN = "01", "0A"
TIMEOUT_S = 3.0
TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))


def ports(state: str, column: int) -> set[int]:
    """Ports of the sockets in `state`: column 1 is this side's, column 2 the other side's."""
    rows = (line.split() for table in TABLES if table.exists() for line in table.read_text().splitlines()[1:])
    return {int(row[column].rpartition(":")[2], 16) for row in rows if row[3] == state}


def answers(url: str) -> str | None:
    """None when `url` answers with a 2xx status, else what is wrong."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):  # noqa: S310  the address is our own configuration
            return None
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"


def check(kind: str, wanted: list[str]) -> list[str]:
    """What does not hold, one sentence each."""
    if kind == "http":
        return [trouble for url in wanted if (trouble := answers(url))]
    if kind == "listening":
        found = ports(LISTEN, 1)
        return [f"nothing listens on port {port}" for port in wanted if int(port) not in found]
    if kind == "connected":
        found = ports(ESTABLISHED, 2)
        return [f"no connection to {name}" for name in wanted if int(name.rpartition(":")[2]) not in found]
    return [f"{kind!r} is no check; use http, listening or connected"]


if __name__ == "__main__":
    troubles = check(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else [str(__doc__)]
    print("; ".join(troubles) or "well")
    sys.exit(1 if troubles else 0)

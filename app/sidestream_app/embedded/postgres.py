"""PostgreSQL 18 from a wheel, driven by ourselves: loopback only, passwords, nothing outlives us, nothing unsafe.

- It listens on 127.0.0.1, has no Unix socket, and wants SCRAM passwords; the superuser's is random (`server.json`).
- `fsync`, `synchronous_commit` and `full_page_writes` stay on: a kill -9 or a power cut loses nothing committed.
- PostgreSQL refuses to run as root, so root starts it as `nobody`. A data directory that `nobody` can't reach (under
  `/root`, in a private temporary folder) is no obstacle, and nothing is moved or opened up: the process enters the
  cluster's folder while it is still root, and then calls it `/proc/self/cwd`, a link that the kernel follows
  without looking at the folders above. So the data always lies where it was asked for. (`SHOW data_directory`
  shows that name.) For the programs see `postgres_binaries`.
- The supervised child is the postmaster itself. After its kill -9 its backends end by themselves within a moment;
  a restart that comes too early is refused by PostgreSQL, and tried again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO
from urllib.parse import quote

from sidestream_app.embedded.ports import LOOPBACK, free_port, is_free, require_free
from sidestream_app.embedded.postgres_binaries import Binaries, find_binaries
from sidestream_app.embedded.postgres_files import SUPERUSER, is_postgres, load_or_create, read_pid_file, save
from sidestream_app.supervise import Account, ProcessSpec, Started, Supervisor, unprivileged_account
from sidestream_contracts.errors import ConfigurationError, TransientError

_OWN_FOLDER = "/proc/self/cwd"
_OLD_SERVER_TIMEOUT_S = 5.0
_POLL_S = 0.05

SETTINGS: dict[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "track_commit_timestamp": "on",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "io_method": "sync",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "sidestream",
}
"""Safe against crashes, sized for a laptop; set on the command line, so that they follow the version of the code."""


def _silent(_name: str, _what: str) -> None:
    """The default listener: nobody wants to know."""


class EmbeddedPostgres:
    """A PostgreSQL server whose whole state lies in `data_dir`.

    `port` 0 takes the port of the last run, or a free one the first time. Use `process_spec()` under a supervisor of
    your own, or `start()` and `stop()`, which bring their own. Roles and databases are made by others, over `dsn()`.
    `settings` are laid over SETTINGS.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        log: Path | None = None,
        *,
        port_option: str = "--postgres-port",
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.cluster = self.data_dir / "cluster"
        self.log = log if log is not None else self.data_dir / "postgres.log"
        self.notes: list[str] = []
        self._settings = {**SETTINGS, **settings}
        self._asked_port = port
        self._port_option = port_option
        self._supervisor: Supervisor | None = None

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; 0 before the first preparation."""
        return load_or_create(self.data_dir).port

    def dsn(self, database: str = "sidestream", user: str = SUPERUSER, password: str | None = None) -> str:
        """A libpq URI for `user`; without a password it is the superuser's own. Holds a secret: don't log it."""
        server = load_or_create(self.data_dir)
        secret = quote(password if password is not None else server.password, safe="")
        return f"postgresql://{quote(user, safe='')}:{secret}@{LOOPBACK}:{server.port}/{quote(database, safe='')}"

    def process_spec(self, name: str = "postgres", depends_on: tuple[str, ...] = ()) -> ProcessSpec:
        """Prepares the data directory (made on first use, ~0.5 s) and returns the postmaster as a child to supervise.

        What a user may want to know about where things went is then in `notes`. Raises ConfigurationError for a port
        in use, a data directory in use or not ours, or a PostgreSQL that does not run here.
        """
        account = self._account()
        binaries = find_binaries(account)
        self.notes = [binaries.note] if binaries.note is not None else []
        load_or_create(self.data_dir)
        self._wait_for_old_server()
        self._choose_port()
        self._create_cluster(binaries, account)
        return self._spec(name, depends_on, binaries, account)

    def start(self, on_event: Callable[[str, str], None] = _silent) -> None:
        """Returns when the server takes connections; from then on it is restarted whenever it dies.

        Raises what `process_spec` raises, and ChildStartError with the end of the server's log.
        """
        if self._supervisor is not None:
            return
        spec = self.process_spec()
        supervisor = Supervisor([spec], on_event)
        supervisor.start_all()
        self._supervisor = supervisor

    def stop(self, timeout_s: float = 5.0) -> None:
        """Fast shutdown of what `start()` started: open transactions are rolled back, all is written out."""
        if self._supervisor is not None:
            self._supervisor.stop_all(timeout_s)
            self._supervisor = None

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor that `start()` brought. Raises TransientError when the server is not started."""
        if self._supervisor is None:
            raise TransientError(f"The PostgreSQL in {self.data_dir} is not started; call start() first.")
        return self._supervisor

    def _account(self) -> Account | None:
        """Whoever owns the cluster already; for a new one `nobody` when we are root, else we ourselves."""
        if not self.cluster.exists():
            return unprivileged_account()
        owner = self.cluster.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
        if os.geteuid() != owner.st_uid or owner.st_uid == 0:
            raise ConfigurationError(
                f"{self.cluster} belongs to uid {owner.st_uid}, and PostgreSQL can't be run on it by uid {os.geteuid()}. "
                "Start as that user, or choose another data directory."
            )
        return None

    def _wait_for_old_server(self) -> None:
        """A server of a killed run ends by itself in a moment; one that goes on belongs to somebody."""
        deadline_s = time.monotonic() + _OLD_SERVER_TIMEOUT_S
        while (old := read_pid_file(self.cluster)) is not None and is_postgres(old.pid):
            if time.monotonic() > deadline_s:
                raise ConfigurationError(
                    f"The data directory {self.data_dir} is in use by a PostgreSQL that runs already (pid {old.pid}). "
                    "Stop what started it, or choose another data directory."
                )
            time.sleep(_POLL_S)

    def _choose_port(self) -> None:
        server = load_or_create(self.data_dir)
        port = self._asked_port or server.port
        if self._asked_port:
            require_free(LOOPBACK, port, "PostgreSQL", self._port_option)
        elif port == 0 or not is_free(LOOPBACK, port):
            port = free_port(LOOPBACK)
        if port != server.port:
            save(self.data_dir, server.with_port(port))

    def _create_cluster(self, binaries: Binaries, account: Account | None) -> None:
        """Makes the cluster unless it is there; a half-made one of a killed run is thrown away first."""
        if self.cluster.exists():
            return
        half_made = self.data_dir / "cluster.new"
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        if account is not None:
            os.chown(half_made, account.uid, account.gid)
        with tempfile.TemporaryFile() as password:
            password.write(load_or_create(self.data_dir).password.encode() + b"\n")
            password.flush()
            if account is not None:
                os.fchown(password.fileno(), account.uid, account.gid)
            _initdb(binaries, half_made, account, password)
        half_made.rename(self.cluster)
        _make_durable(self.data_dir)

    def _spec(self, name: str, depends_on: tuple[str, ...], binaries: Binaries, account: Account | None) -> ProcessSpec:
        folder = str(self.cluster) if account is None else _OWN_FOLDER
        settings = {**self._settings, "port": str(self.port)}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return ProcessSpec(
            name=name,
            argv=(str(binaries.folder / "postgres"), "-D", folder, *options),
            log_path=self.log,
            env={"LC_ALL": "C"},
            cwd=self.cluster,
            ready=self._says_ready,
            depends_on=depends_on,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            account=account,
            first_attempts=8,
        )

    def _says_ready(self, started: Started) -> bool:
        state = read_pid_file(self.cluster)
        return state is not None and state.pid == started.pid and state.status == "ready"


def _initdb(binaries: Binaries, folder: Path, account: Account | None, password: IO[bytes]) -> None:
    """UTF-8, PostgreSQL's own C.UTF-8 (the same order on every machine), checksums, SCRAM everywhere."""
    made = subprocess.run(
        [
            binaries.folder / "initdb",
            "--pgdata=" + (str(folder) if account is None else _OWN_FOLDER),
            f"--username={SUPERUSER}",
            "--pwfile=/dev/stdin",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ],
        stdin=password,
        cwd=folder,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise ConfigurationError(f"PostgreSQL could not make its data directory {folder}:\n{made.stdout.strip()}")


def _make_durable(folder: Path) -> None:
    """The rename of a new cluster is on disk before anything is committed in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

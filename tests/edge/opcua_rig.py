"""An OPC UA server that is not ours (node-opcua), and the driver under supervision with a bus whose batches a test sees."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_rig import free_port, until

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.frame import LANES
from sidestream_contracts.messages import DriverStatus
from sidestream_edge.bus import Bus
from sidestream_edge.drivers.opcua.driver import OpcUa
from sidestream_edge.measurement import Mark, Reading
from sidestream_edge.supervisor import Supervised

FOLDER = Path(__file__).parent / "opcua"
NODE = shutil.which("node") if (FOLDER / "node_modules").exists() else None
URI = "urn:sidestream:h:p:gw"


class NodeServer:
    """The server of tests/edge/opcua/server.js as a process: it may be killed, frozen and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.index = 2
        """Today's index of namespace urn:test:plant."""
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/plant"

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self, *before: str, **how: bool) -> NodeServer:
        """Starts it, tells it `before` while nobody can reach it, and waits until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._said = []
        self.index = 3 if how.get("shift") else 2
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(NODE), str(FOLDER / "server.js"), str(self.port), str(self.folder), json.dumps(how)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self.tell(*before, "listen")
        until(lambda: "ready" in self._said, "the OPC UA server listens", 90.0)
        return self

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        said = self._said
        said.extend(line.strip() for line in iter(process.stdout.readline, ""))

    def tell(self, *lines: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = None


class Cable:
    """A TCP line to a server's `port`; nothing listens before it is plugged in; it can be cut (everybody sees it) and mended."""

    def __init__(self, port: int, *, plugged: bool = True) -> None:
        self._to = port
        self._pairs: list[socket.socket] = []
        self._whole = True
        self.refused = 0
        """Attempts to connect while it was cut."""
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self.url = f"opc.tcp://127.0.0.1:{self._server.getsockname()[1]}/plant"
        if plugged:
            self.plug()

    def plug(self) -> None:
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self._whole:
                    self.refused += 1
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self._whole = False
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        self._server.close()
        for end in self._pairs:
            end.close()


class Watched:
    """The driver, supervised as in the agent; every batch counts as durable as soon as it is seen."""

    def __init__(
        self, config: OpcUaDriver, folder: Path, *, cursor: str | None = None, marks: list[Mark] | None = None
    ) -> None:
        self.batches: list[Any] = []
        self._bus = Bus()
        self._driver = Supervised(
            config.id, "opcua", lambda: OpcUa(config, folder, URI), self._bus, cursor=cursor, marks=marks or []
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._driver.tick(time.monotonic())
            for batch in self._bus.receive(LANES, 0.05):
                self.batches.append(batch)
                if batch.cursor is not None:
                    self._driver.stored(batch.cursor)
        self._driver.stop()
        stopped = self._driver.join(time.monotonic() + 10)
        self._bus.close(all_lines_closed=stopped)

    @property
    def status(self) -> DriverStatus:
        return self._driver.status()

    @property
    def error(self) -> str:
        return self.status.error or ""

    @property
    def said(self) -> str:
        """Everything that the status says."""
        return json.dumps(self.status.model_dump(mode="json"), ensure_ascii=False)

    @property
    def cursor(self) -> str | None:
        return next((batch.cursor for batch in reversed(self.batches) if batch.cursor is not None), None)

    @property
    def marks(self) -> list[Mark]:
        return [mark for batch in list(self.batches) for mark in batch.marks]

    def readings(self, sensor: str) -> list[Reading]:
        return [reading for batch in list(self.batches) for reading in batch.readings if reading.sensor == sensor]

    def values(self, sensor: str) -> list[float | None]:
        return [reading.val for reading in self.readings(sensor)]

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return until(condition, f"{what}; the driver says {self.error!r}")

    def close(self) -> None:
        """May be called twice."""
        self._stop.set()
        self._thread.join(15)
        assert not self._thread.is_alive()

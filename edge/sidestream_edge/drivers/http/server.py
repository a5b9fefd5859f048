"""The listener: bounded connections, bodies and times; what a request may be, before anybody looks at its values.

One thread per connection, as many as `max_connections`; a further one is told to come back. Whoever sends slowly is cut
off. It is made for a plant's own network: there is no TLS, and a token can be read on the way.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sidestream_contracts.edge_http import HttpDevice, HttpDriver

AGAIN_S = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What the logger is told: HTTP status and a JSON object."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posted:
    """A body of a device that may post it."""

    device: HttpDevice
    payload: bytes
    received_us: int


def refusal(status: int, reason: str, error: str, **headers: str) -> Answer:
    """A no, with its reason for a program and a sentence for people."""
    return Answer(
        status, {"reason": reason, "error": error}, {name.replace("_", "-"): v for name, v in headers.items()}
    )


class Listener(ThreadingHTTPServer):
    """Listens on host and port; `take` answers what was posted, `refused` is told what was turned away at the door."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self, config: HttpDriver, take: Callable[[Posted], Answer], refused: Callable[[str, Answer], None]
    ) -> None:
        self.config = config
        self.devices = {device.path: device for device in config.devices}
        self.take = take
        self.refused = refused
        self._places = threading.BoundedSemaphore(config.max_connections)
        super().__init__((config.host, config.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, or a word to come back."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        answer = refusal(503, "busy", f"{self.config.max_connections} connections are open; come back", Retry_After="5")
        self.refused("connections", answer)
        self._turn_away(request)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, and its place given back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  the name is socketserver's
        """A connection that broke is its client's affair: nothing of it was answered, so it sends again."""
        self.refused(
            "connections", refusal(499, "cut_off", f"{client_address[0]} broke off in the middle of a request")
        )

    @staticmethod
    def _turn_away(request: socket.socket) -> None:
        request.setblocking(False)
        request.send(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Listener
    protocol_version = "HTTP/1.1"
    in_request = False
    server_version, sys_version = "sidestream-edge", ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.config.timeout_s)

    def handle_one_request(self) -> None:
        """One request; a client that hangs up between two of them harms nothing."""
        try:
            super().handle_one_request()
        except ConnectionError:
            if self.in_request:
                raise
            self.close_connection = True

    def do_POST(self) -> None:
        """Reads the body and says what became of it."""
        self.in_request = True
        self._post()
        self.in_request = False

    def _post(self) -> None:
        device = self.server.devices.get(self.path.split("?")[0])
        answer = self._at_the_door(device)
        payload = self._body() if answer is None else None
        if answer is None and payload is None:
            answer = refusal(408, "too_slow", f"the body did not come within {self.server.config.timeout_s:g} s")
        if answer is not None or device is None or payload is None:
            self.close_connection = True
            self._say(answer or refusal(404, "unknown_path", "no device posts here"))
            return
        self._say(self.server.take(Posted(device, payload, time.time_ns() // 1000)), at_the_door=False)

    do_PUT = do_POST  # noqa: N815  the names are the library's

    def do_GET(self) -> None:
        """There is nothing to read here."""
        self.close_connection = True
        self._say(refusal(405, "not_post", "send values by POST", Allow="POST, PUT"))

    do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815  the names are the library's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
        """What matters is told by the driver."""

    def _at_the_door(self, device: HttpDevice | None) -> Answer | None:
        length, most = self.headers.get("Content-Length"), self.server.config.max_bytes
        if device is None:
            return refusal(404, "unknown_path", f"no device of edge.yaml posts to {self.path.split('?')[0][:80]!r}")
        if device.token is not None and not self._shows(device.token):
            return refusal(401, "bad_token", f"{device.path} wants its token", WWW_Authenticate="Bearer")
        if length is None or not length.isascii() or not length.isdigit():
            return refusal(411, "no_length", "send Content-Length; chunked bodies are not read")
        if self.headers.get("Content-Encoding", "identity") != "identity":
            return refusal(415, "encoded", "send the body uncompressed")
        if int(length) > most:
            return refusal(413, "too_large", f"{length} bytes are too many; at most {most} are read, send fewer values")
        return None

    def _shows(self, token: str) -> bool:
        scheme, _, shown = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                shown = base64.b64decode(shown, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(shown.strip().encode(), token.encode())

    def _body(self) -> bytes | None:
        """The whole body; None when it does not come in time."""
        wanted, deadline_s = int(self.headers["Content-Length"]), time.monotonic() + self.server.config.timeout_s
        found = bytearray()
        while len(found) < wanted:
            try:
                part = self.rfile.read1(wanted - len(found))
            except TimeoutError:
                return None
            if not part or time.monotonic() > deadline_s:
                return None
            found += part
        return bytes(found)

    def _say(self, answer: Answer, *, at_the_door: bool = True) -> None:
        if at_the_door:
            self.server.refused(self.path.split("?")[0][:80], answer)
        text = json.dumps(answer.body).encode() + b"\n"
        self.send_response(answer.status)
        for name, value in {
            **answer.headers,
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

"""The proxy carries every byte in order while it is whole, and breaks the line exactly as it is told."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream_app.chaos.proxy import Proxy
from sidestream_app.embedded.ports import free_port

WAIT_S = 5.0


class Echo:
    """A server that keeps what it hears and says it back."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.heard = b""
        self.ended: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        mine = b""
        with line, contextlib.suppress(OSError):
            while data := line.recv(4096):
                self.heard += data
                mine += data
                line.sendall(data)
        self.ended.put(mine)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def line() -> Iterator[tuple[Proxy, Echo]]:
    """A proxy before an echo server."""
    echo = Echo()
    proxy = Proxy(free_port(), echo.port)
    proxy.start()
    yield proxy, echo
    proxy.close()
    echo.close()


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), WAIT_S)


def exactly(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := client.recv(size - len(found))):
        found += data
    return found


def ends(client: socket.socket) -> bool:
    client.settimeout(WAIT_S)
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=8))
def test_whole_it_carries_every_byte_in_order_both_ways(line, pieces):
    proxy, _ = line
    with dial(proxy) as client:
        for piece in pieces:
            client.sendall(piece)
        assert exactly(client, sum(map(len, pieces))) == b"".join(pieces)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3000), st.integers(0, 3000))
def test_cut_at_a_byte_lets_exactly_that_many_through(line, size, more):
    proxy, echo = line
    proxy.cut_after(size)
    with dial(proxy) as client:
        client.sendall(b"x" * size)
        if not _broken(client):
            with contextlib.suppress(ConnectionError):
                client.sendall(b"y" * more)
        while not ends(client):
            pass
    heard = echo.ended.get(timeout=WAIT_S)
    assert len(heard) <= size
    assert set(heard) <= {ord("x")}


def _broken(client: socket.socket) -> bool:
    client.settimeout(0.05)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_refusing_resets_what_stands_and_accepts_nothing_until_mended(line):
    proxy, _ = line
    with dial(proxy) as client:
        client.sendall(b"a")
        assert exactly(client, 1) == b"a"
        proxy.refuse()
        assert ends(client)
    with pytest.raises(OSError, match="refused"):
        dial(proxy)
    proxy.mend()
    with dial(proxy) as client:
        client.sendall(b"b")
        assert exactly(client, 1) == b"b"


def test_deaf_it_holds_everything_and_closes_nothing_until_mended(line):
    proxy, echo = line
    with dial(proxy) as client:
        client.sendall(b"a")
        assert exactly(client, 1) == b"a"
        proxy.go_deaf()
        client.sendall(b"held")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert echo.heard == b"a"
        proxy.mend()
        client.settimeout(WAIT_S)
        assert exactly(client, 4) == b"held"


def test_a_reset_is_seen_as_one_and_counted(line):
    proxy, _ = line
    with dial(proxy) as client:
        client.sendall(b"a")
        assert exactly(client, 1) == b"a"
        assert proxy.reset() == 1
        assert ends(client)
    assert (proxy.traffic.accepted, proxy.traffic.cut) == (1, 1)


def test_nobody_behind_it_is_a_reset():
    lonely = Proxy(free_port(), free_port())
    lonely.start()
    try:
        assert ends_at_once(lonely)
    finally:
        lonely.close()


def ends_at_once(proxy: Proxy) -> bool:
    """Whether a client is sent away; the reset may come so early that connecting itself fails with it."""
    try:
        with dial(proxy) as client:
            return ends(client)
    except ConnectionResetError:
        return True

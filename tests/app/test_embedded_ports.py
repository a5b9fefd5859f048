"""Ports: a free one can be listened on, a taken one is refused with a way out."""

from __future__ import annotations

import socket

import pytest

from sidestream_app.embedded.ports import LOOPBACK, free_port, is_free, require_free
from sidestream_contracts.errors import ConfigurationError


def test_a_free_port_can_be_listened_on_and_is_no_port_of_outgoing_connections() -> None:
    port = free_port()
    assert 20_000 <= port < 32_768
    require_free(LOOPBACK, port, "the web server", "--web-port")
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(LOOPBACK, port)


def test_a_port_in_use_is_refused_with_port_purpose_and_option() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} on 127\.0\.0\.1.*the web server.*--web-port"):
            require_free(LOOPBACK, port, "the web server", "--web-port")


def test_a_port_that_was_just_closed_counts_as_free() -> None:
    """Connections in TIME_WAIT don't keep a server from listening, so they must not be called 'in use'."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            accepted, _ = server.accept()
            accepted.close()
    assert is_free(LOOPBACK, port)


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"Port {port} for X does not exist.*--port"):
        require_free(LOOPBACK, port, "X", "--port")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Cannot listen on 192\.0\.2\.1:25000"):
        require_free("192.0.2.1", 25_000, "X", "--port")

"""Fixtures for the simulators: free ports and the example hubs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.hubs import example_hub


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Asks the operating system for so many different ports that nobody listens on."""

    def ask(count: int) -> list[int]:
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return [one.getsockname()[1] for one in sockets]

    return ask


@pytest.fixture(scope="session")
def kvinesdal() -> HubFile:
    return load_hub(example_hub("kvinesdal-like").hub_path)


@pytest.fixture(scope="session")
def minimal() -> HubFile:
    return load_hub(example_hub("minimal").hub_path)

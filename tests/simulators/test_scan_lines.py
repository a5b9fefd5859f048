"""A scan server hands its lines to whoever is connected, and remembers a bounded number while nobody is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from sidestream_contracts.edge import ScannerDriver, load_edge
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.hubs import example_hub
from sidestream_simulators.scan_lines import MEMORY_LINES, ScanServer, tcp_address

pytestmark = pytest.mark.server
EDGE = example_hub().edge_path


def with_scanner(port: int, use: Callable[[ScanServer], Awaitable[None]]) -> None:
    async def run() -> None:
        scanner = ScanServer("scan-gate", "127.0.0.1", port, EDGE)
        await scanner.start()
        try:
            async with asyncio.timeout(10):
                await use(scanner)
        finally:
            await scanner.stop()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  the caller's time-out is the deadline
        await asyncio.sleep(0.005)


def test_every_client_gets_every_line_in_order(free_ports: Callable[[int], list[int]]) -> None:
    port = free_ports(1)[0]

    async def use(scanner: ScanServer) -> None:
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: scanner.connected == 2)
        for n in range(3):
            scanner.send(f"SS-BAG-{n:06d}")
        for reader, writer in pairs:
            assert [await reader.readline() for _ in range(3)] == [f"SS-BAG-{n:06d}\r\n".encode() for n in range(3)]
            writer.close()

    with_scanner(port, use)


def test_lines_sent_while_nobody_is_connected_wait_for_the_first_client(free_ports: Callable[[int], list[int]]) -> None:
    port = free_ports(1)[0]

    async def use(scanner: ScanServer) -> None:
        scanner.send("A")
        for code in ("B", "C"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if code == "B":
                assert await reader.readline() == b"A\r\n"
            await until(lambda: scanner.connected == 1)
            scanner.send(code)
            assert await reader.readline() == f"{code}\r\n".encode()
            writer.close()
            await writer.wait_closed()
            await until(lambda: scanner.connected == 0)

    with_scanner(port, use)


def test_the_memory_is_bounded_and_its_loss_is_logged(
    free_ports: Callable[[int], list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_ports(1)[0]

    async def use(scanner: ScanServer) -> None:
        for n in range(MEMORY_LINES + 2):
            scanner.send(str(n))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [await reader.readline() for _ in range(MEMORY_LINES)]
        assert lines[0] == b"2\r\n"
        assert lines[-1] == f"{MEMORY_LINES + 1}\r\n".encode()
        writer.close()

    with_scanner(port, use)
    lost = [record.getMessage() for record in caplog.records if record.name.endswith("scan_lines")]
    assert [message.split()[-3] for message in lost] == ["0", "1"]


def test_it_stops_at_once_with_a_client_connected(
    free_ports: Callable[[int], list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_ports(1)[0]
    connections = []

    async def use(scanner: ScanServer) -> None:
        connections.append(await asyncio.open_connection("127.0.0.1", port))
        await until(lambda: scanner.connected == 1)
        await scanner.stop()
        assert scanner.connected == 0
        reader, writer = connections[0]
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

    with_scanner(port, use)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_port_in_use_is_named_with_the_variable_that_sets_it(
    free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_ports(1)[0]
    monkeypatch.setenv("SIDESTREAM_SIM_SCAN_PORT_GATE", str(port))

    async def use(_scanner: ScanServer) -> None:
        with pytest.raises(ConfigurationError, match=rf"port {port} .*SIDESTREAM_SIM_SCAN_PORT_GATE"):
            await ScanServer("scan-gate", "127.0.0.1", port, EDGE).start()

    with_scanner(port, use)


def test_only_a_tcp_source_is_served() -> None:
    scanners = [driver for driver in load_edge(EDGE).drivers if isinstance(driver, ScannerDriver)]
    assert len({tcp_address(driver) for driver in scanners}) == 4
    file = ScannerDriver(id="f", type="scanner", source="scans.txt", sensor="s")
    assert tcp_address(file) is None
    wrong = ScannerDriver(id="w", type="scanner", source="tcp://nowhere", sensor="s")
    with pytest.raises(ConfigurationError, match="is not tcp://host:port"):
        tcp_address(wrong)

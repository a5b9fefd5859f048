"""One way to Modbus devices: a TCP connection or a serial port, opened when needed, one question at a time.

pymodbus makes and takes apart the messages. What went wrong is told apart here, since each has another cure: the way is not
there, nobody answers, somebody answers what is no Modbus, a device says no.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from sidestream_contracts.edge_modbus import BIT_TABLES, SerialLine, Table
from sidestream_contracts.errors import ConfigurationError, TransientError

BITS_A_BYTE = 11
"""Start, eight data, parity or second stop, stop (Modbus over Serial Line V1.02, 2.5.1)."""

FUNCTIONS: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
SHOWN_BYTES = 16
_OVERHEAD_BYTES = 16
_MOST_BYTES = 250
_BASIC, _REGULAR = 1, 2
"""How much a device is asked to say of itself; basic is what every device has that says anything."""

_GARBAGE = (ModbusException, struct.error, ValueError, IndexError)
"""What pymodbus raises on answers that break the protocol; it does not turn all of them into errors of its own."""

logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # what goes wrong is said by us, with the device's name


class UnreachableError(TransientError):
    """The way itself is not there: nobody listens, no such port; the text says which and what to do."""


class SilentError(TransientError):
    """Nobody answered in time."""


class GarbledError(TransientError):
    """Somebody answered, and it is no answer to what was asked."""


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A device or a serial server on the network."""

    host: str
    port: int
    rtu: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Address = TcpAddress | SerialLine


@dataclass(frozen=True, slots=True)
class Answer:
    """Words (or bits as 0 and 1) that a device holds, or the exception code with which it refused."""

    words: tuple[int, ...] = ()
    exception: int | None = None


class _Tcp(ModbusTcpClient):
    def connect(self) -> bool:
        """As the library's own, but the reason is raised and not only logged."""
        if self.socket is None:
            where = (self.comm_params.host, self.comm_params.port)
            self.socket = socket.create_connection(where, timeout=self.comm_params.timeout_connect)
        return True


class Link:
    """A way to one or more devices; not to be used by two threads at once."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._heard = b""
        self._client = (
            _tcp(address, timeout_s, self._listen)
            if isinstance(address, TcpAddress)
            else _rtu(address, timeout_s, self._listen)
        )

    def open(self) -> None:
        """Does nothing where it is open already; UnreachableError with the reason."""
        if self._client.connected:
            return
        self._patience(self._timeout_s)
        try:
            opened = self._client.connect()
        except (OSError, UnicodeError) as error:
            self._client.socket = None
            raise UnreachableError(_why(self._address, error)) from error
        if not opened:
            raise UnreachableError(_why_no_port(cast("SerialLine", self._address).port))

    def close(self) -> None:
        """Gives the connection or port back; `open` may follow."""
        self._client.close()  # type: ignore[no-untyped-call]

    def read(self, unit: int, table: Table, start: int, count: int, timeout_s: float | None = None) -> Answer:
        """`count` words or bits from `start` on; SilentError or GarbledError where there is no usable answer."""
        client = self._client
        ask: Callable[..., ModbusPDU] = {
            "holding": client.read_holding_registers, "input": client.read_input_registers,
            "coil": client.read_coils, "discrete": client.read_discrete_inputs,
        }[table]  # fmt: skip
        reply = self.ask(lambda: ask(start, count=count, device_id=unit), 2 * count, timeout_s)
        if reply.isError():
            return Answer(exception=reply.exception_code)
        if reply.function_code != FUNCTIONS[table]:
            self._lost()
            raise GarbledError(
                f"an answer to function {reply.function_code} came where {FUNCTIONS[table]} was asked for"
            )
        words = tuple(int(bit) for bit in reply.bits[:count]) if table in BIT_TABLES else tuple(reply.registers)
        if len(words) != count:
            self._lost()
            raise GarbledError(f"{len(words)} values came where {count} were asked for")
        return Answer(words)

    def identification(self, unit: int, timeout_s: float | None = None) -> dict[int, str]:
        """What the device says of itself (function 43/14), by object id; empty where it does not say."""
        found = self._said(unit, _BASIC, timeout_s)
        if found:
            with contextlib.suppress(SilentError, GarbledError):  # what is optional, some do wrong
                found |= self._said(unit, _REGULAR, timeout_s)
        return found

    def _said(self, unit: int, extent: int, timeout_s: float | None) -> dict[int, str]:
        ask = self._client.read_device_information
        reply = self.ask(lambda: ask(read_code=extent, device_id=unit), _MOST_BYTES, timeout_s)
        said = {} if reply.isError() else getattr(reply, "information", {})
        return {key: _printable(text) for key, text in said.items() if isinstance(text, bytes)}

    def ask(self, question: Callable[[], ModbusPDU], reply_bytes: int, timeout_s: float | None = None) -> ModbusPDU:
        """The device's reply, an exception reply too."""
        self.open()
        self._heard = b""
        self._patience((timeout_s or self._timeout_s) + _on_the_line_s(self._address, reply_bytes))
        try:
            return question()
        except (OSError, *_GARBAGE) as error:
            self._lost()
            if self._heard:
                shown = self._heard[:SHOWN_BYTES].hex(" ")
                raise GarbledError(f"what came is no Modbus answer to what was asked: {shown}") from error
            raise SilentError(f"no answer within {timeout_s or self._timeout_s:g} s") from error

    def _listen(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self._heard = data
        return data

    def _lost(self) -> None:
        """A late answer must not be taken for the answer to the next question; a serial port is emptied before each."""
        if isinstance(self._address, TcpAddress):
            self.close()

    def _patience(self, seconds: float) -> None:
        self._client.comm_params.timeout_connect = seconds
        self._client.transaction.comm_params.timeout_connect = seconds


def _tcp(address: TcpAddress, timeout_s: float, listen: Callable[[bool, bytes], bytes]) -> ModbusTcpClient:
    framer = FramerType.RTU if address.rtu else FramerType.SOCKET
    return _Tcp(address.host, port=address.port, framer=framer, timeout=timeout_s, retries=0, trace_packet=listen)


def _rtu(line: SerialLine, timeout_s: float, listen: Callable[[bool, bytes], bytes]) -> ModbusSerialClient:
    try:
        return ModbusSerialClient(
            line.port, baudrate=line.baud, parity=line.parity[0].upper(), stopbits=line.stop_bits,
            timeout=timeout_s, retries=0, trace_packet=listen,
        )  # fmt: skip
    except RuntimeError as error:
        raise ConfigurationError(
            "Modbus on a serial line needs the Python package pyserial: pip install 'sidestream[edge]'."
        ) from error


def _printable(text: bytes) -> str:
    """What a device says of itself, without what would break a line or a file."""
    return " ".join("".join(c if c.isprintable() else " " for c in text.decode("utf-8", "replace")).split())


def _on_the_line_s(address: Address, reply_bytes: int) -> float:
    """How long question and answer themselves take on a serial line; by TCP that is nothing to wait for."""
    if isinstance(address, SerialLine):
        return (reply_bytes + _OVERHEAD_BYTES) * BITS_A_BYTE / address.baud
    return 0.0


def _why(address: Address, error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name {_host(address)!r} is not known here; check host, or write the address in numbers"
    if isinstance(error, TimeoutError):
        return "no connection in time: it is switched off, elsewhere, or a firewall is between"
    if isinstance(error, ConnectionRefusedError):
        return "the machine is there, but nothing listens at this port; check port, and that Modbus is switched on"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "no way leads there from this gateway; check host, cable and network"
    return f"{error.strerror or error}"


def _host(address: Address) -> str:
    return address.host if isinstance(address, TcpAddress) else address.port


def _why_no_port(port: str) -> str:
    """Why a serial port can't be opened; pymodbus keeps the reason to itself."""
    if not Path(port).exists():
        there = sorted(str(path) for path in Path("/dev/serial/by-id").glob("*"))
        known = f"there are {', '.join(there)}" if there else "no USB adapter is plugged in (none in /dev/serial/by-id)"
        return f"there is no {port}; {known}"
    if not os.access(port, os.R_OK | os.W_OK):
        return f"this user may not use {port}; add it to the port's group (on Debian: usermod -aG dialout USER)"
    return f"{port} is held by another program, is no serial port, or does not take these settings (baud, parity, stop bits)"

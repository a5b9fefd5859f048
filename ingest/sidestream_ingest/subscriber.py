"""The MQTT side: arrivals in, acknowledgements out. The network thread only queues; it never waits for the database.

Each arrival carries the generation of the connection it came by, because MQTT message ids restart with a connection and
a late PUBACK could acknowledge somebody else's message. The broker is only a pipe: when the queue is full nothing more is
read, so that the broker holds back what it has; what it then drops, the edge sends again.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from sidestream_contracts.errors import ConfigurationError, SidestreamError
from sidestream_contracts.messages import Acknowledgement, Hello
from sidestream_contracts.topics import Channel, DeviceAddress, hello_topic, hub_filter
from sidestream_ingest import mqtt5
from sidestream_ingest.arrivals import Arrival, Arrivals
from sidestream_ingest.line import Line
from sidestream_ingest.mqtt5 import Login, Packet, ProtocolError

_IN_FLIGHT = 4_000
"""Unacknowledged messages the broker may have under way to this worker (MQTT 5 receive maximum)."""
_SHARED: tuple[Channel, ...] = ("readings", "scans")
"""Channels whose messages the workers share; each worker hears every status, which is saved idempotently."""
_FIRST_DELAY_S, _LONGEST_DELAY_S = 1.0, 5.0
_TURN_S = 0.5
MAX_PACKET_BYTES = 4 * 1024 * 1024
"""Largest packet taken from the broker: four times what our brokers let a device publish."""
_log = structlog.get_logger("ingest.mqtt")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and who this worker is to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    keepalive_s: int = 10
    max_packet_bytes: int = MAX_PACKET_BYTES


class Subscriber:
    """One connection to the broker, kept up by itself; `take` gives what arrived."""

    def __init__(self, broker: BrokerAddress, hub: str, worker: str) -> None:
        self._hub, self._worker, self._broker = hub, worker, broker
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._arrivals = Arrivals(self._wake)
        self._to_say: list[tuple[int, bytes]] = []
        self._said = threading.Lock()
        self._generation = 0
        self._connected = False
        self._stop = threading.Event()
        self._failure: SidestreamError | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connects in the background and keeps connecting for ever."""
        self._bell = socket.socketpair()
        for end in self._bell:
            end.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        """Leaves the broker; arrivals that were not acknowledged come again from the edge."""
        self._stop.set()
        self._wake()
        if self._bell is not None:
            self._thread.join()
            self._bell[0].close()
            self._bell[1].close()

    def check(self) -> None:
        """Raises what makes waiting for messages pointless, if anything does."""
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise SidestreamError("The thread that reads from the broker ended; its traceback stands above.")

    def is_connected(self) -> bool:
        """Whether the broker is there now."""
        return self._connected

    @property
    def connections(self) -> int:
        """How often the broker has been connected to since the start."""
        return self._generation

    @property
    def times_full(self) -> int:
        """How often reading stopped because the queue was full."""
        return self._arrivals.times_full

    def backlog(self) -> tuple[int, int]:
        """Messages that wait in the queue, and the bytes of their payloads."""
        return self._arrivals.backlog()

    def take(self, most: int, flush_s: float, wait_s: float) -> list[Arrival]:
        """Waits up to `wait_s` for a first arrival, then up to `flush_s` for more, and gives at most `most`."""
        return self._arrivals.take(most, flush_s, wait_s)

    def release(self, arrivals: Sequence[Arrival]) -> None:
        """PUBACK for arrivals of the connection that is up now; those of an earlier one are left alone."""
        generation = self._generation
        self._say(generation, mqtt5.pubacks(a.mid for a in arrivals if a.qos and a.generation == generation))

    def acknowledge(self, device: DeviceAddress, ack: Acknowledgement) -> None:
        """Tells a device what is committed (QoS 0: if it is lost, the edge sends again and is told again)."""
        self._say(self._generation, mqtt5.publish(device.topic("ack"), ack.model_dump_json().encode()))

    def where(self) -> str:
        """The broker's address, for people."""
        return f"{self._broker.host}:{self._broker.port}"

    def _say(self, generation: int, packets: bytes) -> None:
        with self._said:
            self._to_say.append((generation, packets))
        self._wake()

    def _wake(self) -> None:
        try:
            if self._bell is not None:
                self._bell[1].send(b"w")
        except BlockingIOError:
            return  # so many wakes are waiting that one more says nothing new

    def _run(self) -> None:
        delay_s = _FIRST_DELAY_S
        while not self._stop.is_set() and self._failure is None:
            try:
                line = self._connect()
                delay_s = _FIRST_DELAY_S
                self._serve(line)
            except (OSError, ProtocolError) as error:
                what = "lost the broker" if self._connected else "the broker can't be reached or refuses"
                _log.warning(what, broker=self.where(), reason=str(error), again_in_s=delay_s)
            except ConfigurationError as error:
                self._failure = error
            finally:
                self._connected = False
            self._stop.wait(delay_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    def _connect(self) -> Line:
        broker = self._broker
        client_id = f"sidestream-ingest-{self._worker}"
        most = broker.max_packet_bytes
        login = Login(client_id, broker.keepalive_s, _IN_FLIGHT, most, broker.username, broker.password)
        line = Line(broker.host, broker.port, broker.ca_file, login)
        self._generation += 1
        self._connected = True
        _log.info("connected to the broker", broker=self.where(), connection=self._generation)
        # A group of its own for each channel: rumqttd confuses two filters in one group and forgets to deliver the second.
        shared = [f"$share/ingest-{channel}/{hub_filter(self._hub, channel)}" for channel in _SHARED]
        line.say(mqtt5.subscribe(1, [*shared, hub_filter(self._hub, "status")]))
        return line

    def _serve(self, line: Line) -> None:
        """Until the connection ends, which raises, or until told to stop."""
        lost = True
        try:
            while not self._stop.is_set() and self._failure is None:
                self._turn(line)
            lost = False
        finally:
            line.close(politely=not lost)

    def _turn(self, line: Line) -> None:
        listening = not self._arrivals.is_full()
        self._wait(line, listening=listening)
        with self._said:
            to_say, self._to_say = self._to_say, []
        line.say(b"".join(packets for generation, packets in to_say if generation == self._generation))
        line.write()
        if listening:
            self._receive(line)
        line.keep_alive(listening=listening)

    def _wait(self, line: Line, *, listening: bool) -> None:
        """Until there is something to read, to write or to say; half a second at most."""
        assert self._bell is not None
        bell = self._bell[0]
        writers = [line.socket] if line.has_more_to_say else []
        timeout_s = 0 if listening and line.has_unread() else _TURN_S
        readable, _, _ = select.select([line.socket, bell] if listening else [bell], writers, [], timeout_s)
        if bell in readable:
            bell.recv(4096)

    def _receive(self, line: Line) -> None:
        now_at = datetime.now(UTC)
        arrived = [arrival for packet in line.read() if (arrival := self._heard(line, packet, now_at)) is not None]
        if arrived:
            self._arrivals.put(arrived)

    def _heard(self, line: Line, packet: Packet, at: datetime) -> Arrival | None:
        if packet.kind == mqtt5.PUBLISH:
            message = mqtt5.read_publish(packet)
            properties = message.properties
            if any("\x00" in name or "\x00" in value for name, value in properties):
                properties = tuple((_clean(name), _clean(value)) for name, value in properties)
            topic = _clean(message.topic)
            return Arrival(self._generation, message.mid, message.qos, topic, message.payload, properties, at)
        if packet.kind == mqtt5.SUBACK:
            self._subscribed(line, mqtt5.read_suback(packet))
        elif packet.kind == mqtt5.DISCONNECT:
            raise ProtocolError(f"the broker hung up: {mqtt5.reason(mqtt5.read_disconnect(packet))}")
        return None

    def _subscribed(self, line: Line, codes: Sequence[int]) -> None:
        refused = [mqtt5.reason(code) for code in codes if code >= 0x80]
        if refused:
            raise ConfigurationError(
                f"The broker {self.where()} refuses a subscription to hub {self._hub!r} ({', '.join(refused)}); "
                "check the access rules for this login."
            )
        hello = Hello(worker=self._worker, at=datetime.now(UTC))
        line.say(mqtt5.publish(hello_topic(self._hub), hello.model_dump_json().encode()))


def _clean(text: str) -> str:
    """The text without NUL, which MQTT forbids, some brokers pass on, and PostgreSQL can't store."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if "\x00" in text else text

"""One connection to a reader: set up so that it reports each read, then reads and events as they come, checked for life.

The protocol itself is llrpkit's. Everything that can go wrong is a TransientError in words.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from llrpkit import CapabilityError, LLRPConnectionError, LLRPError, LLRPStatusError, LLRPTimeoutError, Reader
from llrpkit.client import check_status
from llrpkit.inventory import DEFAULT_ROSPEC_ID, TagReport, build_rospec
from llrpkit.protocol import LLRPMessage, enums, messages, params

from sidestream_contracts.edge_rfid import LlrpDriver
from sidestream_contracts.errors import TransientError
from sidestream_edge.drivers.llrp.clock import ReaderClock
from sidestream_edge.drivers.llrp.portal import Sighting
from sidestream_edge.measurement import now_us

_WANTED_EVENTS = ("Antenna_Event", "Reader_Exception_Event", "Report_Buffer_Fill_Warning")
_LOST_RESPONSES = 2
"""Questions in a row without an answer that make a connection dead."""

_Answer = TypeVar("_Answer")

logging.getLogger("llrpkit").setLevel(logging.CRITICAL + 1)  # what goes wrong is said by us, with the reader's name


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader tells of itself. `lost`: reads are missing, so silence means nothing."""

    about: str
    text: str
    antenna: int | None = None
    connected: bool | None = None
    lost: bool = False


@dataclass(slots=True)
class Link:
    """A reader that inventories; made by `open_link`."""

    where: str
    reader: Reader
    keepalive_s: float
    clock: ReaderClock = field(default_factory=ReaderClock)
    _heard_s: float = field(default_factory=time.monotonic)
    _unanswered: int = 0
    _dropped: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands."""
        return self.reader.client.connected

    async def sightings(self, wait_s: float) -> list[Sighting]:
        """All reads that have come by `wait_s` from now."""
        await asyncio.sleep(wait_s)
        reports = self.reader.client.reports
        found: list[Sighting] = []
        while not reports.empty():
            found += self._taken(reports.get_nowait())
        return found

    def notices(self) -> Iterator[Notice]:
        """What the reader has told of itself since the last call; TransientError when it says that it hangs up."""
        events, client = self.reader.client.events, self.reader.client
        while not events.empty():
            self._heard_s = time.monotonic()
            yield from self._notices_of(events.get_nowait())
        if client.dropped_reports > self._dropped:
            self._dropped = client.dropped_reports
            yield Notice(
                "overflow", f"{self.where}: {self._dropped} reports came faster than they were taken", lost=True
            )

    async def look_for_life(self) -> None:
        """Asks a reader that has been silent for a keepalive period; TransientError when it does not answer twice."""
        if time.monotonic() - self._heard_s < self.keepalive_s:
            return
        try:
            await self.reader.get_config(enums.GetReaderConfigRequestedData.Identification)
        except LLRPTimeoutError as error:
            self._unanswered += 1
            if self._unanswered >= _LOST_RESPONSES:
                raise TransientError(
                    f"{self.where} does not answer any more ({self._unanswered} questions). Connecting again; check its power"
                    " and network."
                ) from error
            return
        except LLRPStatusError:
            pass  # a refusal is a sign of life
        except (LLRPError, OSError) as error:
            raise TransientError(f"{self.where} has hung up: {error}. Connecting again.") from error
        self._heard_s, self._unanswered = time.monotonic(), 0

    async def close(self) -> None:
        """Stops the inventory where the reader still listens, and hangs up."""
        with suppress(LLRPError, OSError):
            if self.is_open:
                await self.reader.client.transact(messages.DELETE_ROSPEC(ro_spec_id=DEFAULT_ROSPEC_ID), timeout=1.0)
        await _hang_up(self.reader)

    def _taken(self, report: messages.RO_ACCESS_REPORT) -> Iterator[Sighting]:
        self._heard_s, self._unanswered = time.monotonic(), 0
        arrived_us = now_us()
        found = [(TagReport.from_param(data), data) for data in report.tag_report_datas]
        for tag, data in found:
            for stamp_us, uptime in _stamps(data):
                self.clock.heard(stamp_us, arrived_us, uptime=uptime)
            times_us = [self.clock.utc_us(stamp_us) for stamp_us, _ in _stamps(data)]
            for t_us in times_us or [arrived_us]:
                is_timed = bool(times_us) and self.clock.is_trusted
                yield Sighting(t_us, tag.epc, tag.antenna or 0, tag.rssi_dbm, is_timed)

    def _notices_of(self, message: LLRPMessage) -> Iterator[Notice]:
        if not isinstance(message, messages.READER_EVENT_NOTIFICATION):
            return
        data = message.reader_event_notification_data
        if data.connection_close_event is not None:
            raise TransientError(f"{self.where} has closed the connection. Connecting again.")
        if data.antenna_event is not None:
            yield antenna_notice(
                self.where,
                data.antenna_event.antenna_id,
                connected=int(data.antenna_event.event_type) == int(enums.AntennaEventType.Antenna_Connected),
            )
        if data.report_buffer_level_warning_event is not None:
            full = data.report_buffer_level_warning_event.report_buffer_percentage_full
            yield Notice(
                "buffer", f"{self.where}: its report buffer is {full} % full; the network or this gateway is slow"
            )
        if data.report_buffer_overflow_error_event is not None:
            yield Notice("overflow", f"{self.where}: its report buffer ran over, reads are lost", lost=True)
        if data.reader_exception_event is not None:
            yield Notice("exception", f"{self.where} reports an exception: {data.reader_exception_event.message}")


def antenna_notice(where: str, antenna: int, *, connected: bool) -> Notice:
    """That an antenna is there or not."""
    text = "is connected" if connected else "is not connected; nothing is read there. Check its cable"
    return Notice(f"antenna-{antenna}", f"{where}: antenna {antenna} {text}", antenna, connected)


async def open_link(config: LlrpDriver, where: str) -> tuple[Link, list[Notice]]:
    """A reader that inventories, and which antennas it misses; TransientError that says why it does not."""
    reader = await connect(config.host, config.port, config.timeout_s, where)
    link = Link(where, reader, config.keepalive_s)
    try:
        notices = await _prepare(reader, config, where)
        await _start(reader, config, where)
    except BaseException:
        await link.close()
        raise
    return link, notices


async def connect(host: str, port: int, timeout_s: float, where: str) -> Reader:
    """A connected reader; TransientError that says why there is none."""
    reader = Reader(host, port, response_timeout=timeout_s, connect_timeout=timeout_s)
    try:
        await _asked(reader.connect(), where)
    except LLRPStatusError as error:
        await _hang_up(reader)
        raise TransientError(f"{where} refuses what every LLRP client asks first: {error}. Trying again.") from error
    except BaseException:
        await _hang_up(reader)
        raise
    return reader


async def _hang_up(reader: Reader) -> None:
    with suppress(LLRPError, OSError):
        await reader.close()


async def antennas(reader: Reader, where: str) -> dict[int, bool]:
    """Whether each antenna is connected, as far as the reader tells."""
    try:
        answer = await _asked(reader.get_config(enums.GetReaderConfigRequestedData.AntennaProperties), where)
    except LLRPStatusError:
        return {}
    return {found.antenna_id: bool(found.antenna_connected) for found in answer.antenna_properties}


async def _prepare(reader: Reader, config: LlrpDriver, where: str) -> list[Notice]:
    """Asks to be told of trouble and kept in touch; what the reader refuses of that is no reason not to read."""
    wanted = [
        params.EventNotificationState(event_type=enums.NotificationEventType[name], notification_state=True)
        for name in _WANTED_EVENTS
    ]
    spec = params.ReaderEventNotificationSpec(event_notification_states=wanted)
    asked = messages.SET_READER_CONFIG(reset_to_factory_default=False, reader_event_notification_spec=spec)
    notices = []
    try:
        check_status(await _asked(reader.client.transact(asked), where))
        await _asked(reader.set_keepalive(max(1, round(config.keepalive_s * 1000))), where)
    except LLRPStatusError as error:
        notices.append(Notice("settings", f"{where} refuses to tell of its own trouble: {error}"))
    known = await antennas(reader, where)
    lacking = [antenna for antenna in config.antennas if antenna > reader.max_antennas > 0]
    notices += [antenna_notice(where, a, connected=False) for a in config.antennas if not known.get(a, True)]
    return notices + [
        Notice(f"antenna-{a}", f"{where} has {reader.max_antennas} antennas, not {a}; correct `antennas`", a, False)
        for a in lacking
    ]


async def _start(reader: Reader, config: LlrpDriver, where: str) -> None:
    try:
        power = None if config.power_dbm is None else reader.capabilities.power_index_for_dbm(config.power_dbm)
        rospec = build_rospec(
            antennas=[a for a in config.antennas if not a > reader.max_antennas > 0],
            session=config.session,
            tag_population=config.tag_population,
            transmit_power_index=power,
            report_every_n=config.report_every,
            enable_impinj_reports=reader.impinj_extensions_enabled,
        )
        for left_over in (0, rospec.ro_spec_id):  # 0: all; a reader runs one at a time, and refuses where there is none
            await _asked(reader.client.transact(messages.DELETE_ROSPEC(ro_spec_id=left_over)), where)
        for step in (
            messages.ADD_ROSPEC(ro_spec=rospec),
            messages.ENABLE_ROSPEC(ro_spec_id=rospec.ro_spec_id),
            messages.START_ROSPEC(ro_spec_id=rospec.ro_spec_id),
        ):
            check_status(await _asked(reader.client.transact(step), where))
    except CapabilityError as error:
        raise TransientError(f"{where} can't do what edge.yaml asks for: {error}. Correct `power_dbm`.") from error
    except LLRPStatusError as error:
        raise TransientError(
            f"{where} refuses the inventory: {error}. Check `antennas`, `session` and `power_dbm`."
        ) from error


async def _asked(answer: Awaitable[_Answer], where: str) -> _Answer:
    """The answer; TransientError in words when none came. A refusal (LLRPStatusError) is left to the caller."""
    try:
        return await answer
    except LLRPStatusError:
        raise
    except LLRPTimeoutError as error:
        raise TransientError(
            f"{where} does not answer: {error}. Trying again; check that it is an LLRP reader."
        ) from error
    except (LLRPConnectionError, OSError) as error:
        raise TransientError(_unreachable(where, str(error))) from error
    except LLRPError as error:
        raise TransientError(f"{where}: {error}. Trying again.") from error


def _unreachable(where: str, why: str) -> str:
    if "Connection_Already_Exists" in why:
        return (
            f"{where} is taken: another LLRP client is connected, and a reader serves one. Trying again; end the other"
            " program, or its connection in the reader's web page."
        )
    if "ConnectionAttemptEvent" in why or "protocol error" in why or "lost" in why:
        return f"{where} does not speak LLRP: {why}. Trying again; check host and port (usually 5084)."
    return f"{where} can't be reached: {why}. Trying again; check host, port, power and network."


def _stamps(data: params.TagReportData) -> list[tuple[int, bool]]:
    """When the tag was first and last read in this report, µs by the reader's clock, and whether that counts uptime."""
    utc = [data.first_seen_timestamp_utc, data.last_seen_timestamp_utc]
    uptime = [data.first_seen_timestamp_uptime, data.last_seen_timestamp_uptime]
    found = [(stamp.microseconds, False) for stamp in utc if stamp is not None]
    found = found or [(stamp.microseconds, True) for stamp in uptime if stamp is not None]
    return list(dict.fromkeys(found))

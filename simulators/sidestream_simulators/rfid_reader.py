"""A UHF RFID reader that speaks real LLRP (llrpkit's emulator) and reads what it is told to, when it is told to.

The emulator draws tags at random. This one reports a given sequence instead, so that what was there is known; it can
stamp by uptime or by a clock that is off, batch its reports, pull an antenna's cable, and overflow.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable

from llrpkit.emulator import LLRPEmulator
from llrpkit.protocol import BitStr, LLRPMessage, enums, messages, params

from sidestream_simulators.rfid_portal import PortalRead

_QUEUE_LOOK_S = 0.005
_MOST_IN_REPORT = 64


class RfidReader(LLRPEmulator):
    """An LLRP server whose reads are those of `play` and `show`; `clock_off_s` is how far its clock is ahead.

    `uptime`: it stamps with the time since it was made, as readers without a clock do.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        antennas: int = 4,
        clock_off_s: float = 0.0,
        uptime: bool = False,
    ) -> None:
        super().__init__(host=host, port=port, tags=(), antenna_count=antennas, firmware="sidestream simulated portal")
        self._clock_off_us = round(clock_off_s * 1e6)
        self._uptime = uptime
        self._made_us = self._now_us()
        self._due: deque[tuple[float, PortalRead]] = deque()
        self._unplugged: set[int] = set()

    @property
    def is_reading(self) -> bool:
        """Whether a client has started an inventory."""
        return any(state == "Active" for _, state in self._rospecs.values())

    @property
    def is_done(self) -> bool:
        """Whether everything to be read was reported."""
        return not self._due

    def play(self, reads: Iterable[PortalRead], speed: float = 1.0) -> None:
        """From now on reports these reads, each when it is due; `speed` times as fast as they happened."""
        start_s = time.monotonic()
        self._due.extend((start_s + read.t_s / speed, read) for read in reads)

    def show(self, epc: bytes, antenna: int, times: int = 1, rssi_dbm: float = -55.0) -> None:
        """Reports so many reads of a tag at once."""
        now_s = time.monotonic()
        self._due.extend((now_s, PortalRead(0.0, epc, antenna, rssi_dbm)) for _ in range(times))

    async def plug(self, antenna: int, *, connected: bool) -> None:
        """Puts an antenna's cable in, or pulls it; the client is told."""
        (self._unplugged.discard if connected else self._unplugged.add)(antenna)
        await self.set_antenna_connected(antenna, connected)

    async def overflow(self) -> None:
        """Tells the client that reports were lost."""
        data = params.ReaderEventNotificationData(
            timestamp=params.UTCTimestamp(microseconds=self._stamp_us()),
            report_buffer_overflow_error_event=params.ReportBufferOverflowErrorEvent(),
        )
        await self._send(messages.READER_EVENT_NOTIFICATION(reader_event_notification_data=data))

    async def hang_up(self) -> None:
        """Closes the connection of the client, as after a loss of power."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _handle_message(self, msg: LLRPMessage) -> None:
        """Answers what the emulator does not know: which antennas are connected."""
        wanted = enums.GetReaderConfigRequestedData.AntennaProperties
        if not isinstance(msg, messages.GET_READER_CONFIG) or int(msg.requested_data) != int(wanted):
            await super()._handle_message(msg)
            return
        found = [
            params.AntennaProperties(antenna_connected=a not in self._unplugged, antenna_id=a)
            for a in range(1, self.antenna_count + 1)
        ]
        answer = messages.GET_READER_CONFIG_RESPONSE(llrp_status=self._status_ok(), antenna_properties=found)
        await self._send(answer, message_id=msg.message_id)

    async def _report_loop(self) -> None:
        """In place of the emulator's random reads: those that are due, at antennas that are connected and asked for."""
        while True:
            now_s, batch = time.monotonic(), list[params.TagReportData]()
            antennas = self._scan_profile().antennas - self._unplugged
            while self._due and self._due[0][0] <= now_s and len(batch) < _MOST_IN_REPORT:
                due_s, read = self._due.popleft()
                if read.antenna in antennas:
                    batch.append(self._data_of(read, late_us=round((now_s - due_s) * 1e6)))
            if batch:
                await self._send(messages.RO_ACCESS_REPORT(tag_report_datas=batch))
            else:
                await asyncio.sleep(_QUEUE_LOOK_S)

    def _stamp_us(self) -> int:
        return self._now_us() + self._clock_off_us

    def _data_of(self, read: PortalRead, late_us: int) -> params.TagReportData:
        data = params.TagReportData(
            epc_parameter=params.EPC_96(epc=read.epc)
            if len(read.epc) == 12
            else params.EPCData(epc=BitStr.from_bytes(read.epc)),
            antenna_id=params.AntennaID(antenna_id=read.antenna),
            peak_rssi=params.PeakRSSI(peak_rssi=max(-128, min(127, round(read.rssi_dbm)))),
            tag_seen_count=params.TagSeenCount(tag_count=1),
        )
        if self._uptime:
            stamp_us = self._now_us() - self._made_us - late_us
            data.first_seen_timestamp_uptime = params.FirstSeenTimestampUptime(microseconds=stamp_us)
            data.last_seen_timestamp_uptime = params.LastSeenTimestampUptime(microseconds=stamp_us)
        else:
            stamp_us = self._stamp_us() - late_us
            data.first_seen_timestamp_utc = params.FirstSeenTimestampUTC(microseconds=stamp_us)
            data.last_seen_timestamp_utc = params.LastSeenTimestampUTC(microseconds=stamp_us)
        return data

"""aiortc's senders and receivers with their media handling taken over; their RTCP reports stay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiortc import RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver, clock
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import HeaderExtensionsMap, RtcpSrPacket, RtpPacket

from server.peer.fmtp import NAMES
from server.peer.offer import OfferedCodec
from server.peer.types import SenderReport


def name_codecs(transceiver: RTCRtpTransceiver, codecs: tuple[OfferedCodec, ...]) -> None:
    """Puts the video agreed on in the place of what aiortc found, which knows two codecs only.

    To be called after each remote description, before the answer is made."""
    named: list[RTCRtpCodecParameters] = []
    for codec in codecs:
        feedback = [RTCRtcpFeedback(*kind.split(" ", 1)) for kind in codec.feedback]
        name, parameters = f"video/{NAMES[codec.codec]}", dict[str, int | str | None](codec.parameters)
        named.append(RTCRtpCodecParameters(name, 90000, None, codec.payload_type, feedback, parameters))
        if codec.rtx is not None:
            apt: dict[str, int | str | None] = {"apt": codec.payload_type}
            named.append(RTCRtpCodecParameters("video/rtx", 90000, None, codec.rtx, [], apt))
    cast(Any, transceiver)._codecs = named


def name_opus(transceiver: RTCRtpTransceiver, payload_type: int) -> None:
    """As `name_codecs`, for sound."""
    cast(Any, transceiver)._codecs = [RTCRtpCodecParameters("audio/opus", 48000, 2, payload_type)]


class ReceiverPort:
    """A receiver of aiortc whose packets come to us; it keeps its RTCP reports, and starts no decoder."""

    def __init__(self, receiver: RTCRtpReceiver, on_packet: Callable[[RtpPacket, int], None]) -> None:
        self._receiver = cast(Any, receiver)
        self._on_packet = on_packet
        self._clocks: dict[int, int] = {}  # by payload type
        self._reported: tuple[int, SenderReport] | None = None  # by which SSRC
        self._inner_rtcp: Callable[[Any], Awaitable[None]] = self._receiver._handle_rtcp_packet
        self._receiver._handle_rtp_packet = self._handle
        self._receiver._handle_rtcp_packet = self._handle_rtcp
        self._receiver.receive = self._receive

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        receiver = self._receiver
        if receiver._RTCRtpReceiver__started:
            return
        receiver._RTCRtpReceiver__started = True
        self._clocks = {
            codec.payloadType: codec.clockRate for codec in parameters.codecs if codec.payloadType is not None
        }
        receiver.transport._register_rtp_receiver(receiver, parameters)
        receiver._RTCRtpReceiver__rtcp_task = asyncio.ensure_future(receiver._run_rtcp())

    async def _handle(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        clock_rate = self._clocks.get(packet.payload_type)
        if clock_rate is None:
            return
        streams = self._receiver._RTCRtpReceiver__remote_streams
        if packet.ssrc not in streams:
            streams[packet.ssrc] = StreamStatistics(clock_rate)
        streams[packet.ssrc].add(packet)
        self._on_packet(packet, arrival_time_ms)

    async def _handle_rtcp(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            said = packet.sender_info
            self._reported = packet.ssrc, SenderReport(said.ntp_timestamp / (1 << 32), said.rtp_timestamp)
        await self._inner_rtcp(packet)

    def report(self, ssrc: int | None) -> SenderReport | None:
        """What its sender said last of this stream."""
        return self._reported[1] if self._reported is not None and self._reported[0] == ssrc else None

    @property
    def rtcp_ssrc(self) -> int:
        ssrc: int = self._receiver._RTCRtpReceiver__rtcp_ssrc
        return ssrc

    def jitter(self, ssrc: int) -> int:
        """In ticks of the codec's clock."""
        stream = self._receiver._RTCRtpReceiver__remote_streams.get(ssrc)
        return int(stream.jitter) if stream else 0

    async def send_nack(self, ssrc: int, lost: list[int]) -> None:
        await self._receiver._send_rtcp_nack(ssrc, lost)

    async def send_pli(self, ssrc: int) -> None:
        await self._receiver._send_rtcp_pli(ssrc)

    async def send_rtcp(self, packet: Any) -> None:
        await self._receiver._send_rtcp(packet)


class SenderPort:
    """A sender of aiortc whose loop, history and feedback are ours; it keeps its RTCP reports."""

    def __init__(
        self,
        sender: RTCRtpSender,
        run: Callable[[], Awaitable[None]],
        on_rtcp: Callable[[Any], Awaitable[None]],
        now: Callable[[], tuple[int, int] | None],
    ) -> None:
        """`now`: NTP and RTP timestamp of one instant, for its reports; None: not known yet."""
        self._sender = cast(Any, sender)
        self._now = now
        self._inner_send: Callable[[Any], Awaitable[None]] = sender._send_rtcp
        self._sender._send_rtcp = self._send_rtcp
        self._run = run
        self._on_rtcp = on_rtcp
        self._inner_rtcp: Callable[[Any], Awaitable[None]] = sender._handle_rtcp_packet
        self._sender._run_rtp = self._run_rtp
        self._sender._handle_rtcp_packet = self._handle_rtcp

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        sender = self._sender
        sender._RTCRtpSender__rtp_started.set()
        try:
            await self._run()
        except asyncio.CancelledError:
            pass  # how aiortc stops it; it waits for the event below
        finally:
            sender._RTCRtpSender__rtp_exited.set()

    async def _handle_rtcp(self, packet: Any) -> None:
        await self._on_rtcp(packet)
        if not hasattr(packet, "fmt"):  # reports: statistics and the round trip
            await self._inner_rtcp(packet)

    async def _send_rtcp(self, packets: Any) -> None:
        reading = self._now()
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and reading is not None:
                packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp = reading
                # By these the answer is known again, and the round trip measured.
                self._sender._RTCRtpSender__lsr = (reading[0] >> 16) & 0xFFFFFFFF
                self._sender._RTCRtpSender__lsr_time = time.time()
        await self._inner_send(packets)

    @property
    def ssrc(self) -> int:
        ssrc: int = self._sender._ssrc
        return ssrc

    @property
    def rtx_ssrc(self) -> int:
        ssrc: int = self._sender._rtx_ssrc
        return ssrc

    @property
    def rtt(self) -> float | None:
        rtt: float | None = self._sender._RTCRtpSender__rtt
        return rtt

    async def send(self, packet: RtpPacket, count: bool = True) -> None:
        """Stamped and sent. Raises ConnectionError when closed."""
        sender = self._sender
        ntp = clock.current_ntp_time()
        packet.extensions.abs_send_time = (ntp >> 14) & 0xFFFFFF
        packet.extensions.mid = sender._RTCRtpSender__mid
        extensions: HeaderExtensionsMap = sender._RTCRtpSender__rtp_header_extensions_map
        await sender.transport._send_rtp(packet.serialize(extensions))
        if count:
            sender._RTCRtpSender__ntp_timestamp = ntp
            sender._RTCRtpSender__rtp_timestamp = packet.timestamp
            sender._RTCRtpSender__octet_count += len(packet.payload)
            sender._RTCRtpSender__packet_count += 1

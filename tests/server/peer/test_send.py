"""What is sent again: once on a clean path, twice on a lossy one, and never what was not sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc import RTCRtpSender
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket
from browser import until

from gpu.types import EncodedFrame
from server.peer.offer import OfferedCodec
from server.peer.rate import RateControl
from server.peer.send import VideoSender
from server.peer.send_clock import SendClock
from server.peer.types import PeerConfig

VP8 = OfferedCodec(96, "vp8", rtx=97)


class Transport:
    """As much of a DTLS transport as a sender that never starts looks at."""

    state = "new"


class Wire:
    """Stands where packets leave for the network."""

    ssrc, rtx_ssrc, rtt = 1, 2, 0.05

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, packet: Any, count: bool = True) -> None:
        self.sent.append(packet)


@pytest.mark.parametrize(("lost_of_256", "copies"), [(0, 1), (13, 2)])
async def test_repeats_are_doubled_on_a_lossy_path(lost_of_256: int, copies: int) -> None:
    config = PeerConfig()
    rate = RateControl(100_000, 500_000, 1_000_000, lambda bps: None)
    sender = VideoSender(RTCRtpSender("video", Transport()), VP8, config, lambda: None, rate, SendClock())  # type: ignore[arg-type]
    wire = Wire()
    sender._port = wire  # type: ignore[assignment]
    packet = sender._packet(b"picture", 0, True)
    sender._remember(packet, 0.0)
    report = RtcpReceiverInfo(1, lost_of_256, 0, 0, 0, 0, 0)
    await sender._on_rtcp(RtcpRrPacket(ssrc=9, reports=[report]))
    unknown = (packet.sequence_number + 1) & 0xFFFF
    nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, ssrc=9, media_ssrc=1, lost=[packet.sequence_number, unknown])
    await sender._on_rtcp(nack)
    assert [again.payload_type for again in wire.sent] == [97] * copies
    assert len({again.sequence_number for again in wire.sent}) == copies
    assert sender.retransmitted == copies


async def test_every_frame_is_counted_once_as_sent_or_unsent() -> None:
    config = PeerConfig(max_send_bytes=50_000)
    rate = RateControl(100_000, 500_000, 1_000_000, lambda bps: None)
    sender = VideoSender(RTCRtpSender("video", Transport()), VP8, config, lambda: None, rate, SendClock())  # type: ignore[arg-type]
    sender._port = Wire()  # type: ignore[assignment]
    sender.ready = True
    picture = b"\x10\x02\x00\x9d\x01\x2a" + bytes(20_000)
    for i in range(5):  # there is room for two; with the third those go too; then two more
        sender.send(EncodedFrame(picture, i * 3000, True))
    assert (sender.frames_sent, sender.frames_unsent) == (0, 3)
    running = asyncio.ensure_future(sender._run())
    await until(lambda: sender.queued_bytes == 0)
    running.cancel()
    assert (sender.frames_sent, sender.frames_unsent) == (2, 3)

"""The sending side of one video and one audio stream: paced, kept to be sent again, steered by feedback."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
)

from gpu.types import CLOCK_HZ, EncodedFrame

from .offer import OfferedCodec
from .pacer import Pacer
from .payload import payload_format
from .privates import RtpPacket, SenderPort, unpack_remb_fci, wrap_rtx
from .rate import RateControl
from .receive import Meter
from .send_clock import SendClock
from .types import AUDIO_HZ, EncodedAudio, PeerConfig

HISTORY_PACKETS = 8192
LOSSY = 0.02  # above this share lost, what is sent again is sent twice: a lost repeat costs a round trip
AUDIO_QUEUE = 50  # one second


class _Sender:
    """What video and audio have in common: numbering, and packets kept to be sent again."""

    def __init__(self, sender: RTCRtpSender, payload_type: int, hz: int, clock: SendClock) -> None:
        self._hz, self._clock = hz, clock
        self._port = SenderPort(sender, self._run, self._on_rtcp, lambda: clock.read(hz))
        self._payload_type = payload_type
        self._sequence = random.randrange(32768)  # the lower half: SRTP cannot tell an early wrap
        self.packets_sent = 0
        self.ready = False

    async def _run(self) -> None:
        raise NotImplementedError

    async def _on_rtcp(self, packet: Any) -> None:
        """A packet of feedback from the other side."""

    @property
    def rtt(self) -> float | None:
        return self._port.rtt

    def _packet(self, payload: bytes, timestamp: int, marker: bool) -> RtpPacket:
        packet = RtpPacket(
            self._payload_type, int(marker), self._sequence, timestamp, self._port.ssrc, payload
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets_sent += 1
        return packet


class VideoSender(_Sender):
    """Frames out. `on_keyframe` and `on_bitrate` tell what the other side wants."""

    def __init__(
        self,
        sender: RTCRtpSender,
        codec: OfferedCodec,
        config: PeerConfig,
        on_keyframe: Callable[[], None],
        rate: RateControl,
        clock: SendClock,
    ) -> None:
        super().__init__(sender, codec.payload_type, CLOCK_HZ, clock)
        self._format = payload_format(codec.codec)
        self._rtx = codec.rtx
        self._config = config
        self._on_keyframe = on_keyframe
        self._rate = rate
        self._pacer = Pacer(config.max_send_bytes)
        self._wake = asyncio.Event()
        self._history: OrderedDict[int, tuple[float, RtpPacket]] = OrderedDict()
        self._sent_again: dict[int, float] = {}
        self._rtx_sequence = random.randrange(32768)
        self._needs_keyframe = True
        self._loss = 0.0
        self.meter = Meter()
        self.retransmitted = self.frames_sent = self.frames_unsent = 0

    @property
    def queued_bytes(self) -> int:
        return self._pacer.queued_bytes

    def send(self, frame: EncodedFrame) -> None:
        """Raises FrameError for a frame that holds no picture."""
        if not self.ready or (self._needs_keyframe and not frame.is_keyframe):
            self.frames_unsent += 1
            if self.ready:
                self._on_keyframe()
            return
        if not self._pacer.push(self._format.pack(frame.data), frame.pts):
            self.frames_unsent += 1 + self._pacer.flush()  # what waits is as good as lost behind this one
            self._needs_keyframe = True
            self._on_keyframe()
            return
        self._needs_keyframe = False
        self._clock.left(frame.pts / self._hz)
        self._wake.set()

    async def _run(self) -> None:
        self.ready = True
        self._on_keyframe()
        try:
            while True:
                now = time.monotonic()
                while (item := self._pacer.pop(now)) is not None:
                    packet = self._packet(*item)
                    self._remember(packet, now)
                    self.meter.add(len(packet.payload), now)
                    await self._port.send(packet)
                    self.frames_sent += packet.marker  # its last packet: only now is the frame gone
                delay = self._pacer.delay()
                if delay is not None:
                    await asyncio.sleep(delay)
                    continue
                self._wake.clear()
                await self._wake.wait()
        except ConnectionError:
            pass
        finally:
            self.ready = False

    def _remember(self, packet: RtpPacket, now: float) -> None:
        self._history.pop(packet.sequence_number, None)
        self._history[packet.sequence_number] = (now, packet)
        while self._history:
            sequence, (sent, _) = next(iter(self._history.items()))
            if now - sent < self._config.history_s and len(self._history) <= HISTORY_PACKETS:
                return
            del self._history[sequence]
            self._sent_again.pop(sequence, None)

    async def _on_rtcp(self, packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            await self._retransmit(packet.lost)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self._on_keyframe()
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return
            if self._port.ssrc in ssrcs:
                self._rate.on_remb(bitrate)
        else:
            for report in getattr(packet, "reports", ()):
                if report.ssrc == self._port.ssrc:
                    self._loss = report.fraction_lost / 256
                    self._rate.on_loss(self._loss)

    async def _retransmit(self, lost: list[int]) -> None:
        now = time.monotonic()
        again: list[RtpPacket] = []
        for sequence in lost[:256]:
            kept = self._history.get(sequence)
            if kept is None or now - self._sent_again.get(sequence, 0.0) < 0.01:
                continue
            self._sent_again[sequence] = now
            again.append(kept[1])
        try:
            for packet in again * (2 if self._loss > LOSSY else 1):
                await self._send_again(packet, now)
        except ConnectionError:
            return

    async def _send_again(self, packet: RtpPacket, now: float) -> None:
        if self._rtx is not None:
            packet = wrap_rtx(packet, self._rtx, self._rtx_sequence, self._port.rtx_ssrc)
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        self.retransmitted += 1
        self.meter.add(len(packet.payload), now)
        await self._port.send(packet, count=False)


class AudioSender(_Sender):
    """Opus packets out, as they are handed over."""

    def __init__(self, sender: RTCRtpSender, payload_type: int, clock: SendClock) -> None:
        super().__init__(sender, payload_type, AUDIO_HZ, clock)
        self._queue: asyncio.Queue[EncodedAudio] = asyncio.Queue(AUDIO_QUEUE)

    def send(self, packet: EncodedAudio) -> None:
        if not self.ready:
            return
        if self._queue.full():  # newest wins: old sound is of no use
            self._queue.get_nowait()
        self._clock.left(packet.pts / self._hz)
        self._queue.put_nowait(packet)

    async def _run(self) -> None:
        self.ready = True
        try:
            while True:
                item = await self._queue.get()
                await self._port.send(self._packet(item.data, item.pts & 0xFFFFFFFF, False))
        except ConnectionError:
            pass
        finally:
            self.ready = False

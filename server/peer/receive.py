"""The receiving side of one video and one audio stream: packets to frames, and feedback back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from aiortc import RTCRtpReceiver
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket

from gpu.types import EncodedFrame

from .jitter import JitterBuffer, TimestampUnwrapper
from .offer import OfferedCodec
from .payload import payload_format
from .privates import ReceiverPort, RemoteBitrateEstimator, RtpPacket, pack_remb_fci
from .types import EncodedAudio, PeerConfig, SenderReport

SWITCH_AFTER_S = 1.0  # a stream silent for this long gives way to another SSRC


class Meter:
    """Bits per second over the last second."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[float, int]] = deque(maxlen=8192)
        self._total = 0

    def add(self, size: int, now: float) -> None:
        if len(self._sizes) == self._sizes.maxlen:
            self._total -= self._sizes.popleft()[1]
        self._sizes.append((now, size))
        self._total += size

    def rate(self, now: float) -> int:
        while self._sizes and self._sizes[0][0] < now - 1:
            self._total -= self._sizes.popleft()[1]
        return self._total * 8


class VideoReceiver:
    """Owns the jitter buffer and its timer; feedback is sent by `run`, a task of the Peer."""

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        codecs: tuple[OfferedCodec, ...],
        config: PeerConfig,
        on_frame: Callable[[EncodedFrame], None],
        ssrc: int | None,
    ) -> None:
        self._config = config
        self._on_frame = on_frame
        self._declared = ssrc
        self._ssrc: int | None = ssrc
        self._port = ReceiverPort(receiver, self._packet)
        self._formats = {c.payload_type: payload_format(c.codec, c.fmtp) for c in codecs}
        self._repeats = {c.rtx: c.payload_type for c in codecs if c.rtx is not None}
        self._payload_type = codecs[0].payload_type  # what comes now; the sender may change at any packet
        payloads = self._formats[self._payload_type]
        self.buffer = JitterBuffer(payloads, config.hole_timeout_s, config.keyframe_interval_s)
        self._estimator = RemoteBitrateEstimator()
        self._remb: tuple[int, list[int]] | None = None
        self._nacks: list[int] = []
        self._pli = False
        self._last_pli = -1e9
        self._last_packet = 0.0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.meter = Meter()
        self.packets = self.nacks_sent = self.plis_sent = 0

    def set_rtt(self, rtt: float) -> None:
        self.buffer.set_rtt(rtt)

    @property
    def jitter_s(self) -> float:
        return self._port.jitter(self._ssrc) / 90_000 if self._ssrc is not None else 0.0

    @property
    def report(self) -> SenderReport | None:
        return self._port.report(self._ssrc)

    def request_keyframe(self) -> None:
        self._pli = True
        self._wake.set()

    def _packet(self, packet: RtpPacket, arrival_ms: int) -> None:
        if self._closed:
            return
        now = time.monotonic()
        self.packets += 1
        size = len(packet.payload) + packet.padding_size
        self.meter.add(size, now)
        if packet.extensions.abs_send_time is not None:
            remb = self._estimator.add(arrival_ms, packet.extensions.abs_send_time, size, packet.ssrc)
            if remb is not None:
                self._remb = remb
                self._wake.set()
        payload, sequence = packet.payload, packet.sequence_number
        again = packet.payload_type in self._repeats
        if again:
            if len(payload) < 2 or self._ssrc is None:
                return
            if self._repeats[packet.payload_type] != self._payload_type:
                return  # of a codec that is over
            sequence, payload = int.from_bytes(payload[:2], "big"), payload[2:]
        elif not self._accept(packet.ssrc, now) or not self._speaks(packet.payload_type, sequence):
            return
        self.buffer.add(sequence, packet.timestamp, bool(packet.marker), payload, now, again)
        self._poll(now)

    def _accept(self, ssrc: int, now: float) -> bool:
        if ssrc != self._ssrc:
            if self._ssrc is not None and ssrc != self._declared and now - self._last_packet < SWITCH_AFTER_S:
                return False
            if self._ssrc is not None and self.packets > 1:
                self.buffer.restart()
            self._ssrc = ssrc
        self._last_packet = now
        return True

    def _speaks(self, payload_type: int, sequence: int) -> bool:
        """False for what came of the codec before after the sender went over to another."""
        if payload_type != self._payload_type:
            if payload_type not in self._formats or not self.buffer.is_newest(sequence):
                return False
            self._payload_type = payload_type
            self.buffer.restart(self._formats[payload_type])
        return True

    def _poll(self, now: float) -> None:
        if self._closed:  # or the timer would be set again for ever
            return
        out = self.buffer.poll(now)
        if out.nacks or out.pli:
            self._nacks += out.nacks
            self._pli = self._pli or out.pli
            self._wake.set()
        deadline = self.buffer.next_deadline()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_later(max(deadline - now, 0.001), self._on_timer)
        for frame in out.frames:
            self._on_frame(frame)

    def _on_timer(self) -> None:
        self._timer = None
        self._poll(time.monotonic())

    async def run(self) -> None:
        """Sends feedback until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                ssrc = self._ssrc
                if ssrc is None:
                    continue
                if self._nacks:
                    lost, self._nacks = self._nacks[:128], []
                    self.nacks_sent += len(lost)
                    # Twice, at once: a lost request costs a round trip of the 150 ms a hole has; a browser
                    # repeats a packet no more than once a round trip however often it is asked.
                    for _ in range(2):
                        await self._port.send_nack(ssrc, lost)
                if self._pli:
                    await self._send_pli(ssrc)
                if self._remb is not None:
                    (bitrate, ssrcs), self._remb = self._remb, None
                    bitrate = min(max(bitrate, self._config.min_bitrate_bps), self._config.max_bitrate_bps)
                    fci = pack_remb_fci(bitrate, ssrcs[: self._config.max_ssrcs])
                    await self._port.send_rtcp(
                        RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=self._port.rtcp_ssrc, media_ssrc=0, fci=fci)
                    )
        finally:
            self.close()

    def close(self) -> None:
        """Nothing is taken or timed from now on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _send_pli(self, ssrc: int) -> None:
        now = time.monotonic()
        wait = self._last_pli + self._config.keyframe_interval_s - now
        if wait > 0:  # coalesced: one more when the interval is over
            asyncio.get_running_loop().call_later(wait, self._wake.set)
            return
        self._pli, self._last_pli = False, now
        self.plis_sent += 1
        for _ in range(2):  # a lost one would cost the whole interval; browsers make one keyframe of both
            await self._port.send_pli(ssrc)


class AudioReceiver:
    """Opus packets go up as they come; copies of one already seen are dropped."""

    def __init__(self, receiver: RTCRtpReceiver, on_packet: Callable[[EncodedAudio], None]) -> None:
        self._on_packet = on_packet
        self._port = ReceiverPort(receiver, self._packet)
        self._ssrc: int | None = None
        self._seen: deque[int] = deque(maxlen=64)
        self._timestamps = TimestampUnwrapper()
        self._last_packet = 0.0

    @property
    def report(self) -> SenderReport | None:
        return self._port.report(self._ssrc)

    def _packet(self, packet: RtpPacket, arrival_ms: int) -> None:
        now = time.monotonic()
        if packet.ssrc != self._ssrc:
            if self._ssrc is not None and now - self._last_packet < SWITCH_AFTER_S:
                return
            self._ssrc = packet.ssrc
            self._seen.clear()
        self._last_packet = now
        if not packet.payload or packet.sequence_number in self._seen:
            return
        self._seen.append(packet.sequence_number)
        pts = self._timestamps.unwrap(packet.timestamp)
        self._on_packet(EncodedAudio(packet.payload, pts, time.monotonic_ns()))

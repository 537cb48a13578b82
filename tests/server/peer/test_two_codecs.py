"""HEVC from a client to the decoder and back as H.264; and a sender that changes its codec in mid-stream."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import RtpPacket
from browser import Browser, Echo, until
from test_bounds import Transport

from gpu.codec import Encoder, EncoderConfig, open_decoder, open_encoder
from gpu.types import EncodedFrame, Frame
from server.peer import Peer, PeerConfig
from server.peer.offer import OfferedCodec
from server.peer.payload import HevcFormat, payload_format
from server.peer.receive import VideoReceiver
from tests.foreign import encode


class HevcCamera:
    """Takes the place of a stock sender's encoder: real HEVC, a keyframe whenever one is asked for."""

    def __init__(self) -> None:
        self._format = HevcFormat()
        self._count = 0
        flat = np.full((120, 160), 128, np.uint8)
        ramp = np.tile(np.linspace(30, 220, 320).astype(np.uint8), (240, 1))
        pictures = [Frame(np.roll(ramp, 5 * i, 1), flat, flat, i * 4500) for i in range(60)]
        self._stream = encode("hevc", pictures)
        self.keyframes = 0

    def encode(self, frame: av.VideoFrame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        if force_keyframe:
            self._count = 0
        unit = self._stream[self._count % len(self._stream)]
        self._count += 1
        self.keyframes += unit.is_keyframe
        return self._format.pack(unit.data), frame.pts


class Transcoder(Echo):
    """Decodes what comes and sends it back in H.264, as a pipeline does."""

    def __init__(self) -> None:
        super().__init__(echo=False)
        self._decoder = open_decoder("hevc")
        self._encoder: Encoder = open_encoder(EncoderConfig())
        self.wanted = True
        self.pictures: list[Frame] = []

    def on_video(self, frame: EncodedFrame) -> None:
        super().on_video(frame)
        for picture in self._decoder.decode(frame):
            self.pictures.append(picture)
            wanted, self.wanted = self.wanted, False
            for unit in self._encoder.encode(picture, wanted):
                assert self.peer is not None
                self.peer.send_video(unit)

    def on_keyframe_needed(self) -> None:
        self.wanted = True


async def test_hevc_goes_in_and_h264_comes_back() -> None:
    """A stock aiortc client that says H265 where it thinks VP8, and whose encoder makes HEVC."""
    browser = Browser("VP8")
    transceiver = browser.pc.getTransceivers()[0]
    names = ("VP8", "H264", "rtx")
    codecs = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in names]
    transceiver.setCodecPreferences(sorted(codecs, key=lambda c: names.index(c.name)))
    camera: Any = HevcCamera()
    transceiver.sender._RTCRtpSender__encoder = camera  # type: ignore[attr-defined]
    listener = Transcoder()
    peer = Peer(PeerConfig(codecs=("hevc", "h264")), listener)
    listener.peer = peer
    try:
        answer = await peer.accept((await browser.offer()).replace("VP8/90000", "H265/90000"))
        assert (peer.codec_in, peer.codec_out) == ("hevc", "h264")
        await browser.answer(answer.replace("H265/90000", "VP8/90000"))
        await until(lambda: len(browser.decoded) >= 15)
        assert {frame.codec for frame in listener.frames} == {"hevc"}
        assert listener.frames[0].is_keyframe
        seen = browser.decoded[10].to_ndarray(format="yuv420p")[:240].astype(int)
        error = min(np.abs(np.roll(listener.pictures[0].y, 5 * i, 1) - seen).mean() for i in range(64))
        assert error < 4  # the ramp that was sent, wherever it has moved to
        keyframes = camera.keyframes
        peer.request_keyframe()
        await until(lambda: camera.keyframes > keyframes)
    finally:
        await peer.close()
        await browser.close()


async def test_a_sender_that_goes_over_to_another_codec() -> None:
    """RFC 3264 lets it at any packet; what is late of the codec before is not mixed in."""
    codecs = (OfferedCodec(45, "av1", rtx=46), OfferedCodec(102, "h264", rtx=103))
    frames: list[EncodedFrame] = []
    receiver: Any = VideoReceiver(
        RTCRtpReceiver("video", Transport()), codecs, PeerConfig(), frames.append, None
    )
    picture = np.full((48, 64), 90, np.uint8)
    flat = np.full((24, 32), 128, np.uint8)
    sequence = 65530
    sent: list[RtpPacket] = []

    def send(codec: Any, payload_type: int, count: int) -> None:
        nonlocal sequence
        writer = payload_format(codec)
        stamps = range(len(sent) * 3000, (len(sent) + count) * 3000, 3000)
        for unit in encode(codec, [Frame(picture, flat, flat, pts) for pts in stamps]):
            payloads = writer.pack(unit.data)
            for i, payload in enumerate(payloads):
                marker = int(i == len(payloads) - 1)
                sent.append(RtpPacket(payload_type, marker, sequence & 0xFFFF, unit.pts, 7, payload))
                receiver._packet(sent[-1], 0)
                sequence += 1

    running = asyncio.ensure_future(receiver.run())
    try:
        send("av1", 45, 3)
        old = RtpPacket(45, 1, sent[0].sequence_number - 1, 99, 7, sent[0].payload)
        repeat = RtpPacket(46, 1, 5, 99, 8, old.sequence_number.to_bytes(2, "big") + old.payload)
        send("h264", 102, 3)
        for late in (old, repeat):
            receiver._packet(late, 0)
        send("h264", 102, 1)
        send("av1", 45, 2)
        assert [f.codec for f in frames] == ["av1"] * 3 + ["h264"] * 4 + ["av1"] * 2
        assert [f.is_keyframe for f in frames] == [True, False, False] * 2 + [True] + [True, False]
        assert [f.pts for f in frames] == sorted({f.pts for f in frames})
        receiver._packet(RtpPacket(111, 1, sequence & 0xFFFF, 0, 7, b"opus"), 0)  # never agreed on
        assert len(frames) == 9
        decoder = open_decoder("av1")
        assert [len(decoder.decode(frame)) for frame in frames] == [1] * 9
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

"""What other senders send: streams of every codec by encoders that relens does not use, and RTP by libav.

Knows pictures and packets; nothing of sessions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpu.types import CLOCK_HZ, U8, Codec, EncodedFrame, Frame
from tests import beside

os.environ.setdefault("SVT_LOG", "1")  # or SVT-AV1 introduces itself with every stream
_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "0"}),
    "hevc": (
        "libx265",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": "repeat-headers=1:log-level=0:pools=none:frame-threads=1",
        },
    ),
    "av1": ("libsvtav1", {"preset": "11", "crf": "34", "svtav1-params": "pred-struct=1:lookahead=0:lp=1"}),
}
_RTP_HEADER_BYTES = 12
_TEMPORAL_DELIMITER = b"\x12\x00"  # AV1: an encoder begins each unit with one


def encode(codec: Codec, frames: Sequence[Frame], keyframes: int = 30) -> list[EncodedFrame]:
    """A keyframe every `keyframes` pictures and at each new size, in the form EncodedFrame asks for."""
    if codec == "av1":  # on a busy machine SVT-AV1's threads have waited for each other for good
        return beside.call(_encode, codec, tuple(frames), keyframes)
    return _encode(codec, frames, keyframes)


def _encode(codec: Codec, frames: Sequence[Frame], keyframes: int) -> list[EncodedFrame]:
    out, context, shape = [], None, (0, 0)
    for frame in frames:
        if context is None or (frame.width, frame.height) != shape:
            out += _packets(context, None, codec)
            shape = (frame.width, frame.height)
            context = _open(codec, *shape, keyframes)
        out += _packets(context, frame, codec)
    out += _packets(context, None, codec)
    arrived = {frame.pts: frame.arrived_ns for frame in frames}
    return [EncodedFrame(data, pts, key, codec, arrived[pts]) for data, pts, key in out]


def _open(codec: Codec, width: int, height: int, keyframes: int) -> Any:
    name, options = _ENCODERS[codec]
    context: Any = av.CodecContext.create(name, "w")
    _set(context, codec, width, height, keyframes)
    context.options = options
    return context


def _set(context: Any, codec: Codec, width: int, height: int, keyframes: int) -> None:
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, CLOCK_HZ), Fraction(30, 1)
    context.gop_size, context.max_b_frames, context.thread_count = keyframes, 0, 1
    if codec != "av1":  # SVT-AV1 has low delay at constant quality only
        context.bit_rate = 2_000_000


def _packets(context: Any, frame: Frame | None, codec: Codec) -> list[tuple[bytes, int, bool]]:
    if context is None:
        return []
    packets = context.encode(None if frame is None else to_picture(frame))
    return [(_unit(codec, bytes(p)), p.pts, p.is_keyframe) for p in packets]


def _unit(codec: Codec, data: bytes) -> bytes:
    return data.removeprefix(_TEMPORAL_DELIMITER) if codec == "av1" else data


def to_picture(frame: Frame) -> Any:
    """The same picture as libav has it."""
    picture = av.VideoFrame(frame.width, frame.height, "yuv420p")
    planes: Any = picture.planes
    for plane, samples in zip(planes, (frame.y, frame.u, frame.v), strict=True):
        rows: U8 = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    picture.pts, picture.time_base = frame.pts, Fraction(1, CLOCK_HZ)
    return picture


@dataclass(slots=True)
class _Wire:
    """As much of a file as libav's muxer writes to: one packet a write."""

    packets: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self.packets.append(bytes(data))
        return len(data)


def libav_rtp(
    codec: Codec, frames: Sequence[Frame], packet_bytes: int
) -> list[tuple[EncodedFrame, list[bytes]]]:
    """Each picture's access unit with the RTP payloads that libav's own packetiser cuts it into."""
    wire = _Wire()
    options = {"packetsize": str(packet_bytes), "strict": "experimental", "rtpflags": "skip_rtcp"}
    out: list[tuple[EncodedFrame, list[bytes]]] = []
    with av.open(wire, "w", format="rtp", options=options) as container:
        name, encoder_options = _ENCODERS[codec]
        stream: Any = container.add_stream(name, rate=30)
        _set(stream.codec_context, codec, frames[0].width, frames[0].height, 30)
        stream.codec_context.options = encoder_options
        for frame in [*frames, None]:
            for packet in stream.encode(None if frame is None else to_picture(frame)):
                unit = EncodedFrame(_unit(codec, bytes(packet)), packet.pts, packet.is_keyframe, codec)
                wire.packets.clear()
                container.mux(packet)
                out.append((unit, [p[_RTP_HEADER_BYTES:] for p in wire.packets]))
    return out

"""What every part of `gpu-media` measures with: the GPU, how much is run, clips, and the time left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from bench.error import BenchError, NothingToMeasure
from gpu.cuda.driver import Device, Stream, device_count
from gpu.cuda.driver_api import api
from gpu.errors import DeviceError
from gpu.types import CLOCK_HZ, Codec, EncodedFrame, Frame

FPS = 30
TICKS = CLOCK_HZ // FPS
Size = tuple[int, int]

_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "hevc": ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "av1": ("libsvtav1", {"preset": "12", "crf": "34", "svtav1-params": "pred-struct=1:lookahead=0"}),
}
_TEMPORAL_DELIMITER = b"\x12\x00"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run. Sizes in pixels; `*_s` seconds; `*_bytes` of device memory."""

    sizes: tuple[Size, ...] = ((1280, 720), (1920, 1080))
    canvas: Size = (832, 480)
    clip_frames: int = 60
    frames: int = 240
    paced_frames: int = 90
    twin_cases: int = 40  # a kernel
    copy_bytes: int = 512 << 20
    cold_bytes: int = 192 << 20  # beyond any L2 cache
    repeats: int = 20
    decoders: tuple[int, ...] = (1, 8, 32)
    decode_s: float = 3.0
    loop_size: Size = (320, 240)
    loop_streams: int = 4


TINY = Scale(
    ((96, 64), (128, 96)), (64, 48), 6, 8, 3, 2, 1 << 16, 1 << 17, 2, (1, 2), 0.2, (64, 48), 2
)  # fmt: skip


@dataclass(slots=True)
class Found:
    """What one part gives: rows for people, (what, measured), and everything as plain values."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)  # what is not as it must be


class World:
    """One GPU for one run of the measurement."""

    def __init__(self, scale: Scale, limit_s: float) -> None:
        """Raises NothingToMeasure where there is no GPU that opens."""
        try:
            if not device_count():
                raise NothingToMeasure("no GPU: the driver shows none; nothing was measured")
            self.device = Device.open()
        except DeviceError as error:
            raise NothingToMeasure(f"no GPU: {error}; nothing was measured") from error
        self.scale = scale
        self.fake = hasattr(api().library, "fake_cuda_count")  # the tests' stand-in exports it
        self._ends = time.monotonic() + limit_s
        self._clips: dict[tuple[Codec, Size, str], list[EncodedFrame]] = {}

    def left_s(self) -> float:
        """Seconds until the whole must be done."""
        return max(0.0, self._ends - time.monotonic())

    def clip(self, codec: Codec, size: Size, profile: str = "baseline") -> list[EncodedFrame]:
        """`clip_frames` pictures as a live sender encodes them: the first a keyframe, no delay.

        Raises BenchError where this libav cannot make it."""
        key = (codec, size, profile)
        if key not in self._clips:
            frames = moving(*size, self.scale.clip_frames)
            self._clips[key] = self._fake_clip(frames) if self.fake else _encoded(codec, frames, profile)
        return self._clips[key]

    def _fake_clip(self, frames: list[Frame]) -> list[EncodedFrame]:
        from gpu.codec.base import EncoderConfig
        from gpu.cuda.nvenc import NvencEncoder

        encoder = NvencEncoder(self.device, EncoderConfig())  # the only H.264 that the fake decoder reads
        try:
            return [unit for frame in frames for unit in encoder.encode(frame)]
        finally:
            encoder.close()

    def close(self) -> None:
        self.device.close()


def moving(width: int, height: int, count: int) -> list[Frame]:
    """A textured picture that slides under sensor noise; seeded."""
    rng = np.random.default_rng(3)
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    noise = rng.normal(0, 2, (height, width)).astype(np.float32)
    frames = []
    for n in range(count):
        luma = 120 + 50 * np.sin((cols + 3 * n) / 17) * np.cos(rows / 23)
        luma += 25 * (((cols + 3 * n) // 40 + rows // 40) % 2) + np.roll(noise, (7 * n, 13 * n), (0, 1))
        u = (128 + 40 * np.sin((cols[::2, ::2] + n) / 60)).astype(np.uint8)
        v = (128 + 40 * np.cos(rows[::2, ::2] / 50)).astype(np.uint8)
        frames.append(Frame(luma.clip(16, 235).astype(np.uint8), u, v, n * TICKS))
    return frames


def endless(clip: list[EncodedFrame]) -> Iterator[EncodedFrame]:
    """The clip again and again, on one clock; each turn begins with its keyframe."""
    number = 0
    while True:
        for unit in clip:
            yield EncodedFrame(unit.data, number * TICKS, unit.is_keyframe, unit.codec)
            number += 1


def gpu_ms(device: Device, stream: Stream, runs: list[Callable[[], None]], repeats: int) -> float:
    """Milliseconds of the GPU for one of `runs`, handed in as one graph so that the CPU is no part of it: the
    median of `repeats` launches."""
    for run in runs:
        run()  # code is loaded at the first launch
    stream.synchronize()
    with stream.capture() as capture:
        for run in runs:
            run()
    begin, end = device.event(timing=True), device.event(timing=True)
    times = []
    for _ in range(repeats + 1):
        stream.record(begin)
        capture.graph.launch(stream)
        stream.record(end)
        end.synchronize()
        times.append(end.elapsed_ms(begin))
    for made in (begin, end, capture.graph):
        made.close()
    return float(np.median(times[1:])) / len(runs)


def _encoded(codec: Codec, frames: list[Frame], profile: str) -> list[EncodedFrame]:
    try:
        import av

        from gpu.codec.base import EncoderConfig
        from gpu.codec.encoder import LibavEncoder
    except ImportError as error:
        raise BenchError(f"clips are made by libav ({error}): pip install av") from error
    if codec == "h264":
        megabits = 4_000_000 if frames[0].height <= 720 else 8_000_000
        config = EncoderConfig("h264", megabits, max_bps=megabits, profile=profile, threads=4)  # type: ignore[arg-type]
        encoder = LibavEncoder(config)
        try:
            return [unit for frame in frames for unit in encoder.encode(frame)]
        finally:
            encoder.close()
    os.environ.setdefault("SVT_LOG", "1")
    name, options = _ENCODERS[codec]
    try:
        context: Any = av.CodecContext.create(name, "w")
    except ValueError as error:
        raise BenchError(f"this libav has no {name}: no {codec} clip can be made") from error
    context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, CLOCK_HZ), Fraction(FPS, 1)
    context.gop_size, context.max_b_frames = 3000, 0
    if codec != "av1":
        context.bit_rate = 4_000_000
    context.options = options
    packets = [packet for frame in frames for packet in context.encode(_picture(frame))]
    packets += context.encode(None)
    return [
        EncodedFrame(
            bytes(p).removeprefix(_TEMPORAL_DELIMITER if codec == "av1" else b""), p.pts, p.is_keyframe, codec
        )
        for p in packets
    ]


def _picture(frame: Frame) -> Any:
    import av

    picture = av.VideoFrame(frame.width, frame.height, "yuv420p")
    planes: Any = picture.planes
    for plane, samples in zip(planes, (frame.y, frame.u, frame.v), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    picture.pts, picture.time_base = frame.pts, Fraction(1, CLOCK_HZ)
    return picture

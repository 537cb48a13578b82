"""Rendered frames become segments: H.264 in CMAF fragments, one a span. Knows frames and spans; no files, no
sound.

No B-frames: what is decoded is shown at once, so no composition offset and no edit list comes between a
player and the span's start, and the same bytes serve HLS and the file at the end. It costs bits, not quality.

The same frames give the same bytes: x264 is deterministic for a fixed number of threads, and nothing here
looks at a clock. Its parameter sets follow from size, rate and settings, so one initialisation segment serves
all of a film.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from gpu.errors import DeviceError
from gpu.film.boxes import Sample, Track, box, fragment, init_of
from gpu.film.types import FilmError, FilmInfo, Span
from gpu.types import CLOCK_HZ, U8, Frame

VIDEO_TRACK = 1
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]

_TICK = Fraction(1, CLOCK_HZ)
_GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets aside, not in the pictures
_BT709, _SMPTE170M, _LIMITED = 1, 6, 1  # ISO/IEC 23091-2; libav's AVCOL_RANGE_MPEG
_IDR, _SEI, _SPS, _PPS, _AUD = 5, 6, 7, 8, 9  # ITU-T H.264 table 7-1


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """How a film is encoded. All of it changes the bytes, so all of it belongs into a work key.

    `crf`: x264's constant quality, 0..51, lower is better; 18 is hard to tell from the source. `threads`: of
    x264, fixed, because the bytes depend on it. `keyframe_s`: a keyframe at least that often, besides each
    span's first. `cavlc`: the simpler entropy code: the same pictures a quarter sooner, files a tenth larger.
    """

    crf: int = 18
    preset: Preset = "veryfast"
    threads: int = 1
    keyframe_s: float = 4.0
    cavlc: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.crf <= 51 and 1 <= self.threads <= 64 and self.keyframe_s > 0):
            raise FilmError(f"{self}: crf is 0 to 51, threads 1 to 64, keyframe_s above 0")


def init_segment(info: FilmInfo, settings: OutputSettings) -> bytes:
    """The initialisation segment (ftyp, moov) that every segment of the film is played with.

    Raises DeviceError when libx264 is missing or refuses the size."""
    sps, pps = _parameter_sets(_open(info, settings))
    size = (info.video.width, info.video.height)
    return init_of(Track(VIDEO_TRACK, CLOCK_HZ, _avc1(info, sps, pps), size))


def write_segment(frames: Iterable[Frame], span: Span, info: FilmInfo, settings: OutputSettings) -> bytes:
    """One fragment (moof, mdat): decode time `span.start`, timescale 90 kHz, each frame as long as its pts
    say.

    `frames`: exactly the span's, as `gpu.types.Frame` has them (BT.601, limited range), pts in ticks from the
    film's first frame. Raises FilmError for frames that are not the span's; DeviceError as `init_segment`
    does.
    """
    context = _open(info, settings)
    times: list[int] = []
    units: list[bytes] = []
    for frame in frames:
        _check(frame, len(times), times[-1] if times else None, span, info)
        times.append(frame.pts)
        units += _encode(context, _to_picture(frame, info), len(units), span)
    units += _encode(context, None, len(units), span)
    if len(times) != span.frames or len(units) != len(times):
        raise FilmError(
            f"span {span.index} has {span.frames} frames, {len(times)} came and {len(units)} were encoded: "
            "render it again"
        )
    ends = [*times[1:], span.end]
    samples = [
        Sample(*_sample(unit, end - start)) for unit, start, end in zip(units, times, ends, strict=True)
    ]
    if not samples[0].sync:
        raise FilmError(
            f"span {span.index} does not begin with a keyframe: libx264 works otherwise than known"
        )
    return fragment(span.index + 1, VIDEO_TRACK, span.start, samples)


def codec_string(init: bytes) -> str:
    """Of an initialisation segment made here, for a playlist: "avc1.64001f" (RFC 6381 §3.3)."""
    at = init.index(b"avcC") + 5
    return f"avc1.{init[at : at + 3].hex()}"


def _open(info: FilmInfo, settings: OutputSettings) -> Any:
    try:
        context: Any = av.CodecContext.create("libx264", "w")
    except ValueError as error:
        raise DeviceError("libav has no libx264 encoder: install the av wheel") from error
    video = info.video
    fps = video.fps.limit_denominator(100_000) if video.fps > 0 else Fraction(25)  # a rational of 32 bits
    context.width, context.height, context.pix_fmt = video.width, video.height, "yuv420p"
    context.time_base, context.framerate = _TICK, fps
    context.gop_size = max(1, round(settings.keyframe_s * fps))
    context.max_b_frames = 0
    context.thread_count = settings.threads
    context.color_range, context.colorspace = _LIMITED, _SMPTE170M
    context.color_primaries = context.color_trc = _primaries(info)
    context.flags |= _GLOBAL_HEADER
    context.options = {"crf": str(settings.crf), "preset": settings.preset, "profile": "high"}
    if settings.cavlc:
        context.options |= {"coder": "cavlc"}
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        raise DeviceError(
            f"libx264 cannot encode {video.width}x{video.height} ({error}): render at another size"
        ) from error
    return context


def _primaries(info: FilmInfo) -> int:
    """Reading brings every film to BT.601's matrix; its primaries and transfer stay what they were."""
    return _BT709 if info.video.bt709 else _SMPTE170M


def _encode(context: Any, picture: Any, done: int, span: Span) -> list[bytes]:
    try:
        return [bytes(packet) for packet in context.encode(picture)]
    except (av.FFmpegError, ValueError) as error:
        raise FilmError(f"libx264 refused frame {span.first_frame + done} ({error}): render again") from error


def _check(frame: Frame, number: int, before: int | None, span: Span, info: FilmInfo) -> None:
    wrong = ""
    if (frame.width, frame.height) != (info.video.width, info.video.height):
        wrong = f"is {frame.width}x{frame.height}, the film {info.video.width}x{info.video.height}"
    elif frame.full_range:
        wrong = "is of full range, segments are of limited range"
    elif number >= span.frames:
        wrong = f"is one too many: the span has {span.frames}"
    elif (before is None and frame.pts != span.start) or frame.pts <= (-1 if before is None else before):
        wrong = f"has pts {frame.pts} behind {before} in a span that begins at {span.start}"
    elif frame.pts >= span.end:
        wrong = f"has pts {frame.pts}, the span ends at {span.end}"
    if wrong:
        raise FilmError(
            f"frame {number} of span {span.index} {wrong}: render the span's own frames, in order"
        )


def _to_picture(frame: Frame, info: FilmInfo) -> Any:
    picture: Any = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for plane, samples in zip(picture.planes, (frame.y, frame.u, frame.v), strict=True):
        rows: U8 = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    picture.pts, picture.time_base = frame.pts, _TICK
    picture.color_range, picture.colorspace = _LIMITED, _SMPTE170M
    picture.color_primaries = picture.color_trc = _primaries(info)
    return picture


def _units(data: bytes) -> list[bytes]:
    """The NAL units of an Annex-B byte stream (ITU-T H.264 annex B)."""
    found = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        following = data.find(b"\0\0\1", at + 3)
        unit = data[at + 3 : following if following >= 0 else len(data)].rstrip(b"\0")
        if unit:
            found.append(unit)
        at = following
    return found


def _sample(annex_b: bytes, duration: int) -> tuple[bytes, int, bool]:
    """As ISO/IEC 14496-15 §5.3 stores an access unit: each NAL unit behind its length. x264's note of its
    version and options (SEI) is left out: it would stand in every segment."""
    kept = [u for u in _units(annex_b) if u[0] & 31 not in (_SEI, _SPS, _PPS, _AUD)]
    data = b"".join(struct.pack(">I", len(unit)) + unit for unit in kept)
    return data, duration, any(unit[0] & 31 == _IDR for unit in kept)


def _parameter_sets(context: Any) -> tuple[bytes, bytes]:
    units = {unit[0] & 31: unit for unit in _units(bytes(context.extradata or b""))}
    try:
        return units[_SPS], units[_PPS]
    except KeyError as error:
        raise DeviceError("libx264 gave no parameter sets: install the av wheel anew") from error


def _avc1(info: FilmInfo, sps: bytes, pps: bytes) -> bytes:
    """The sample entry: ISO/IEC 14496-12 §12.1.3, 14496-15 §5.3.3 and §5.4.2."""
    config = bytes((1, sps[1], sps[2], sps[3], 0xFF, 0xE1)) + struct.pack(">H", len(sps)) + sps
    config += b"\x01" + struct.pack(">H", len(pps)) + pps
    config += bytes((0xFD, 0xF8, 0xF8, 0))  # High: 4:2:0, 8 bit, no extension
    primaries = _primaries(info)
    colour = box(b"colr", b"nclx", struct.pack(">HHHB", primaries, primaries, _SMPTE170M, 0))
    body = struct.pack(">6xH16xHHIIIH", 1, info.video.width, info.video.height, 72 << 16, 72 << 16, 0, 1)
    body += bytes(32) + struct.pack(">Hh", 24, -1)
    return box(b"avc1", body, box(b"avcC", config), colour)

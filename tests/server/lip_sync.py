"""How far sound is from the picture, whichever pictures a busy machine left out: each says by its brightness
how long ago its second began, and the sound beeps as a second begins."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np

from gpu.types import EncodedFrame
from server.peer.types import EncodedAudio

BEEP_S = 0.12
_BRIGHT, _FADES = 230, 190  # luma as a second begins, and by how much it is less as it ends
_LOUD = 0.1
_NEAREST = 9  # pictures that say where the second of a beep began

# The same by FFmpeg, behind `color=...` and `aevalsrc=...`: its `t` may fall short of a whole second.
PICTURES = f"geq=lum='{_BRIGHT}-{_FADES}*mod(T+0.0001,1)':cb=128:cr=128"
SOUND = f"0.4*sin(2000*PI*t)*lt(mod(t+0.00001,1),{BEEP_S})"

Level = tuple[float, float]  # when, in seconds; luma, or the peak of a millisecond


def luma(at_s: float) -> int:
    return round(_BRIGHT - _FADES * (at_s % 1.0))


def apart_s(pictures: list[Level], sounds: list[Level]) -> list[float]:
    """Of each beep: how much later it is than the second it belongs to began, by the pictures around it."""
    begins = [(at, at - (_BRIGHT - level) / _FADES) for at, level in pictures]
    found: list[float] = []
    for beep in _begins(sounds):
        nearest = sorted(begins, key=lambda each: abs(each[0] - beep))[:_NEAREST]
        found.append(median((beep - began + 0.5) % 1.0 - 0.5 for _, began in nearest))
    return found


def _begins(sounds: list[Level]) -> list[float]:
    """When it gets loud after a fifth of a second of quiet, the first sound left out: it may be cut."""
    found: list[float] = []
    loud_s = sounds[0][0] if sounds else 0.0
    for at, level in sounds:
        if level > _LOUD:
            if at - loud_s > 0.2:
                found.append(at)
            loud_s = at
    return found


def recorded(path: Path) -> list[float]:
    """`apart_s` of a file, whose end may be cut off."""
    pictures: list[Level] = []
    sounds: list[Level] = []
    with av.open(str(path)) as file:
        for frame in _decoded(file):
            if isinstance(frame, av.VideoFrame):
                pictures.append(_picture(float(frame.time or 0), frame))
            else:
                sounds += _peaks(float(frame.time or 0), frame)
    return apart_s(pictures, sounds)


def watched(frames: Iterable[EncodedFrame], packets: Iterable[EncodedAudio]) -> list[float]:
    """`apart_s` of H.264 and Opus."""
    pictures: list[Level] = []
    decoder = av.CodecContext.create("h264", "r")
    for frame in frames:
        packet = av.Packet(frame.data)
        packet.pts = frame.pts
        pictures += [_picture(int(each.pts or 0) / 90_000, each) for each in decoder.decode(packet)]
    sounds: list[Level] = []
    opus = av.CodecContext.create("libopus", "r")
    opus.sample_rate, opus.layout, opus.format = 48_000, "stereo", "s16"
    for sound in packets:
        for each in opus.decode(av.Packet(sound.data)):
            sounds += _peaks(sound.pts / 48_000, each)
    return apart_s(pictures, sounds)


def _picture(at_s: float, frame: av.VideoFrame) -> Level:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return at_s, float(rows[: frame.height, : frame.width].mean())


def _peaks(at_s: float, frame: av.AudioFrame) -> list[Level]:
    samples = np.abs(frame.to_ndarray().astype(np.float64))
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if not frame.format.name.startswith("flt"):
        samples /= 32_768
    step = frame.sample_rate // 1000
    left = samples[0][: samples.shape[1] // step * step]
    return [
        (at_s + i * step / frame.sample_rate, float(peak))
        for i, peak in enumerate(left.reshape(-1, step).max(1))
    ]


def _decoded(file: Any) -> Iterator[Any]:
    for packet in file.demux():
        with contextlib.suppress(av.InvalidDataError):
            yield from packet.decode()

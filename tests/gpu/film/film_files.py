"""Films made by libav for the tests of what leaves: pictures with flashes and sound with clicks at the same
times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from gpu.types import Frame
from tests.gpu.film.film_frames import HEIGHT, WIDTH

LIGHT, DARK = 220, 40
_CLICK_S = 0.0013


@dataclass(frozen=True)
class Recipe:
    """`flashes`: numbers of frames that are light; each comes with a click. `sound_from`, `sound_to`: seconds
    against the first frame. `video_codec` of libav."""

    sound: str = "aac"
    rate: int = 48_000
    channels: int = 2
    sound_from: float = 0.0
    sound_to: float | None = None
    flashes: tuple[int, ...] = (10, 30, 55)
    bframes: int = 0
    video: str = "libx264"
    colour: int = 6
    hole: tuple[float, float] | None = None  # seconds without packets


def make_film(path: Path, seconds: Sequence[Fraction], recipe: Recipe) -> Path:
    """`seconds`: when each frame is shown, and the end."""
    base = Fraction(1, 90_000)
    lead = Fraction(max(0.0, -recipe.sound_from)).limit_denominator(
        1000
    )  # the file begins with what is first
    with av.open(str(path), "w") as file:
        video: Any = file.add_stream(recipe.video, rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.max_b_frames = recipe.bframes
        video.codec_context.time_base = video.time_base = base
        video.codec_context.colorspace = video.codec_context.color_primaries = recipe.colour
        video.codec_context.color_trc = recipe.colour
        if recipe.video == "libx264":
            video.options = {"preset": "veryfast"}
        sound: Any = None
        if recipe.sound:
            sound = file.add_stream(recipe.sound, rate=recipe.rate)
            sound.layout = "stereo" if recipe.channels == 2 else "mono"
            sound.codec_context.format = sound.codec_context.codec.audio_formats[0]
            if recipe.sound == "vorbis":
                sound.codec_context.options = {"strict": "experimental"}
        packets = []
        for number, time in enumerate(seconds[:-1]):
            shade = LIGHT if number in recipe.flashes else DARK
            picture: Any = av.VideoFrame.from_ndarray(_flat(shade), "yuv420p")
            picture.pts, picture.time_base = int((time + lead) / base), base
            packets += video.encode(picture)
        packets += video.encode(None)
        for packet in packets:
            if packet.pts == int((seconds[-2] + lead) / packet.time_base):
                packet.duration = int((seconds[-1] - seconds[-2]) / packet.time_base)
        if sound is not None:
            packets += _sound_packets(sound, seconds, recipe, lead)
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            file.mux(packet)
    return path


def _sound_packets(sound: Any, seconds: Sequence[Fraction], recipe: Recipe, lead: Fraction) -> list[Any]:
    rate = recipe.rate
    begin = round(recipe.sound_from * rate)
    end = round((float(seconds[-1]) if recipe.sound_to is None else recipe.sound_to) * rate)
    wave = np.zeros((recipe.channels, end - begin), np.float32)
    for number in (each for each in recipe.flashes if each < len(seconds) - 1):
        at = round(float(seconds[number]) * rate) - begin
        count = round(_CLICK_S * rate)
        if 0 <= at < end - begin - count:
            wave[:, at : at + count] = 0.9 * np.sin(np.arange(count) * (2 * np.pi * 6000 / rate))
    form = sound.codec_context.format.name
    resampler = av.AudioResampler(format=form, layout=sound.codec_context.layout.name, rate=rate)
    packets = []
    for at in range(0, wave.shape[1], 1024):
        block = np.ascontiguousarray(wave[:, at : at + 1024])
        frame: Any = av.AudioFrame.from_ndarray(block, "fltp", layout="stereo" if len(wave) == 2 else "mono")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = begin + at + round(lead * rate)
        for made in resampler.resample(frame):
            packets += sound.encode(made)
    packets += sound.encode(None)
    if recipe.hole is not None:
        low, high = (x + float(lead) for x in recipe.hole)
        packets = [p for p in packets if not low <= float(p.pts * p.time_base) < high]
    return packets


def _flat(shade: int) -> Any:
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    picture[:HEIGHT] = shade
    return picture


@dataclass(frozen=True)
class Seen:
    """What a film shows and sounds: times in seconds, as its own player's clock says them."""

    frames: tuple[float, ...]
    flashes: tuple[float, ...]
    clicks: tuple[float, ...]
    sound: tuple[float, float] | None  # from, to

    def offsets(self) -> list[float]:
        """Of each click from its flash."""
        return [click - flash for click, flash in zip(self.clicks, self.flashes, strict=True)]


def watch(path: Path | str) -> Seen:
    """Decode all of it by libav."""
    frames, light, clicks = [], [], []
    span: list[float] = []
    last = -1.0
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            frames.append(frame.time)
            if frame.to_ndarray()[: frame.height].mean() > (LIGHT + DARK) / 2:
                light.append(frame.time)
    with av.open(str(path)) as file:
        if file.streams.audio:
            rate = file.streams.audio[0].codec_context.sample_rate
            for piece in file.decode(audio=0):
                wave = np.abs(_floats(piece)).max(axis=0)
                at = float(piece.pts * piece.time_base)
                span = [span[0] if span else at, at + len(wave) / rate]
                for sample in np.flatnonzero(wave > 0.35):
                    time = at + sample / rate
                    if time - last > 0.05:
                        clicks.append(time)
                    last = time
    return Seen(tuple(frames), tuple(light), tuple(clicks), (span[0], span[1]) if span else None)


def _floats(piece: Any) -> Any:
    data = piece.to_ndarray()
    if not piece.format.is_planar:
        data = data.reshape(-1, len(piece.layout.channels)).T
    if data.dtype.kind == "i":
        return data.astype(np.float64) / float(np.iinfo(data.dtype).max)
    return data


def payloads(path: Path) -> list[bytes]:
    """Of the first sound track's packets."""
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def frame_from(y: int, pts: int) -> Frame:
    half = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return Frame(np.full((HEIGHT, WIDTH), y, np.uint8), half, half, pts)

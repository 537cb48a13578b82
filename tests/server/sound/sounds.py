"""Sound with clicks at known times, and where they are found again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from server.peer import EncodedAudio
from server.sound import AacToOpus, OpusToAac

T = TypeVar("T")
F32 = NDArray[np.float32]
Block = tuple[int, F32]  # pts at 48 kHz, samples of one channel there


@dataclass(frozen=True)
class Clicks:
    """Silence with 50 ms of a 1 kHz tone at each of `at`, seconds."""

    seconds: float
    at: tuple[float, ...]

    def samples(self, rate: int) -> F32:
        made = np.zeros(round(self.seconds * rate), np.float32)
        tone = 0.7 * np.sin(2 * np.pi * 1000 * np.arange(rate // 20) / rate)
        for at in self.at:
            first = round(at * rate)
            made[first : first + len(tone)] = tone[: len(made) - first]
        return made


def _encoder(name: str, rate: int, layout: str, form: str) -> AudioCodecContext:
    made = cast(AudioCodecContext, av.CodecContext.create(name, "w"))
    made.sample_rate, made.layout, made.format = rate, layout, form
    made.time_base, made.bit_rate = Fraction(1, rate), 128_000
    made.flags |= 1 << 22  # the config apart (libavcodec/avcodec.h, AV_CODEC_FLAG_GLOBAL_HEADER)
    made.open()
    return made


def _encoded(encoder: AudioCodecContext, samples: F32, size: int) -> Iterable[tuple[bytes, float]]:
    channels = encoder.layout.nb_channels
    planar = encoder.format.is_planar
    for at in range(0, len(samples) // size * size, size):
        block = samples[None, at : at + size].repeat(channels, 0)
        block = block if planar else block.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), encoder.format.name, encoder.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = encoder.sample_rate, at, encoder.time_base
        for packet in encoder.encode(frame):
            yield bytes(packet), (packet.pts or 0) / encoder.sample_rate


def aac(clicks: Clicks, rate: int, layout: str) -> tuple[bytes, list[tuple[bytes, float]]]:
    """-> (AudioSpecificConfig, [(raw frame, seconds at which it is heard)])."""
    encoder = _encoder("aac", rate, layout, "fltp")
    return bytes(encoder.extradata or b""), list(_encoded(encoder, clicks.samples(rate), 1024))


def opus(clicks: Clicks, layout: str = "stereo") -> list[EncodedAudio]:
    encoder = _encoder("libopus", 48_000, layout, "flt")
    made = _encoded(encoder, clicks.samples(48_000), 960)
    return [EncodedAudio(data, round(at * 48_000)) for data, at in made]


def _decoded(decoder: Any, packets: Iterable[tuple[bytes, int]]) -> list[Block]:
    found: list[Block] = []
    for data, pts in packets:
        for frame in decoder.decode(av.Packet(data)):
            samples = frame.to_ndarray()
            if samples.dtype == np.int16:
                samples = samples.astype(np.float32) / 32768
            found.append((pts, samples[0] if frame.format.is_planar else samples[0, ::2]))
    return found


def opus_sound(packets: Iterable[EncodedAudio]) -> list[Block]:
    decoder = cast(AudioCodecContext, av.CodecContext.create("libopus", "r"))
    decoder.sample_rate, decoder.layout, decoder.format = 48_000, "stereo", "flt"
    return _decoded(decoder, ((p.data, p.pts) for p in packets))


def aac_sound(config: bytes, frames: Iterable[tuple[bytes, int]]) -> list[Block]:
    """`frames`: (raw, pts at 48 kHz) of sound at 48 kHz."""
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = config
    return _decoded(decoder, frames)


def heard(blocks: Iterable[Block]) -> list[float]:
    """Seconds at which a click begins."""
    found: list[float] = []
    last = -1e9
    for pts, samples in blocks:
        for index in np.flatnonzero(np.abs(samples) > 0.2):
            at = (pts + int(index)) / 48_000
            if at - last > 0.1:
                found.append(at)
            last = at
    return found


async def pushed(
    line: AacToOpus | OpusToAac, push: Callable[[T], None], items: Sequence[T], got: Sequence[object]
) -> None:
    """All of them, no faster than they are taken, until nothing more comes."""
    for item in items:
        push(item)
        while len(line._thread._waiting) > 10:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.001)
    await settled(lambda: len(got))


async def settled(count: Callable[[], int]) -> None:
    """Until something came and nothing more does; 5 s at most."""
    before, since = -1, 0.0
    for _ in range(500):
        await asyncio.sleep(0.01)
        now = time.monotonic()
        if before != count():
            before, since = count(), now
        elif before > 0 and now - since > 0.25:
            return
    raise AssertionError("it does not come to rest")

"""A film's sound as blocks of PCM from any time on, in the child: stereo at 48 kHz, whatever it was.

Block follows block without a hole: where the film has no sound, or none that can be decoded, there is
silence. Knows libav.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from gpu.film.pcm_wire import CHANNELS, RATE_HZ, SAMPLES
from gpu.film.sound_wire import Silent
from gpu.film.source import Source

S16 = NDArray[np.int16]
Block = tuple[int, bytes]  # the first sample's place; s16

CONTIGUOUS_S = 0.02  # times that are off by less are rounding or jitter, not a hole
HOPELESS = 50  # packets: where none of them can be decoded the next will not be either
_BEFORE_S = Fraction(1, 2)  # what a keyframe's sound may lie before it in the file
_WARM_UP_S = Fraction(1, 5)  # decoded for the decoder alone: twice Opus's 80 ms (RFC 7845 §4.6)


class Pcm:
    """Owns the source."""

    def __init__(self, source: Source, zero: Fraction, end: int) -> None:
        """`zero`: the first frame's time in the container's seconds; `end`: the film's, in samples."""
        self._source, self._zero, self._end = source, zero, end
        self._decoded = False  # anything, ever
        self._undecoded = 0

    def blocks(self, start: int) -> Iterator[Block | None]:
        """From sample `start` to the film's end; None now and then while work goes on.

        Raises Silent where nothing can be decoded; FilmError when the file changed or cannot be read on."""
        line, shape = _Line(start, self._end), ("", "", 0)
        resampler: Any = None
        expected = Fraction(start, RATE_HZ)  # seconds of the film: where the next samples belong
        for frame in self._frames(start):
            if frame is None or not frame.sample_rate:
                yield None
                continue
            at = expected if frame.pts is None else frame.pts * self._unit - self._zero
            is_like = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or is_like != shape or abs(at - expected) > CONTIGUOUS_S:
                yield from line.add(_converted(resampler, None))
                resampler, shape = AudioResampler("s16", "stereo", RATE_HZ), is_like
                yield from line.silence(line.place(round(at * RATE_HZ)))
                expected = at
            expected += Fraction(frame.samples, frame.sample_rate)
            frame.pts = None
            yield from line.add(_converted(resampler, frame))
            if line.at >= self._end:
                return
        yield from line.add(_converted(resampler, None))
        yield from line.rest()

    @property
    def _unit(self) -> Fraction:
        return Fraction(self._source.audio.time_base)

    def _frames(self, start: int) -> Iterator[Any]:
        """Decoded, from a little before `start` on; None for a packet that gave none."""
        wanted_s = Fraction(start, RATE_HZ) + self._zero
        self._go_before(wanted_s - _BEFORE_S)
        for packet in self._source.packets(sound=True):
            if packet.stream_index != self._source.audio.index or self._is_before(packet, wanted_s):
                yield None
                continue
            try:
                frames = packet.decode()
                self._decoded |= bool(frames)
            except (av.FFmpegError, ValueError):
                frames = []
                self._undecoded += 1
                if not self._decoded and self._undecoded >= HOPELESS:
                    break
            yield from frames or (None,)
        if not self._decoded and self._undecoded:
            name = self._source.audio.name or "an unknown codec"
            raise Silent(f"the film's sound ({name}) cannot be decoded")
        self._source.check_unchanged()

    def _is_before(self, packet: Any, wanted_s: Fraction) -> bool:
        if not packet.size or packet.pts is None:
            return False
        return bool((packet.pts + (packet.duration or 0)) * self._unit < wanted_s - _WARM_UP_S)

    def _go_before(self, seconds: Fraction) -> None:
        """Where a keyframe of the pictures lies: every container can find those."""
        source = self._source
        if seconds > self._zero and source.seek(int(seconds / Fraction(source.video.time_base))):
            return
        if not source.fresh:
            source.check_unchanged()
            source.close()
            self._source = Source(source.opening)
            self._source.audio.codec_context.thread_count = 1


class _Line:
    """Samples as they come, cut into blocks from `start` on; the last one that begins before `end` is the
    last."""

    def __init__(self, start: int, end: int) -> None:
        self.at = start  # of the first sample that is held
        self._end = end
        self._held: S16 = np.zeros((0, CHANNELS), np.int16)
        self._late = 0  # samples to come that belong where others are already

    @property
    def behind(self) -> int:
        """Where the next sample will be."""
        return self.at + len(self._held)

    def place(self, at: int) -> int:
        """What comes next belongs there. -> how many samples of silence are to come before."""
        hole = min(at, self._end) - self.behind
        self._late = max(0, -hole)
        return max(0, hole)

    def add(self, samples: S16) -> Iterator[Block]:
        """[n, 2] -> what has become whole."""
        cut = min(self._late, len(samples))
        self._late -= cut
        self._held = np.concatenate((self._held, samples[cut:]))
        while len(self._held) >= SAMPLES and self.at < self._end:
            block, self._held = self._held[:SAMPLES], self._held[SAMPLES:]
            at, self.at = self.at, self.at + SAMPLES
            yield at, block.tobytes()

    def silence(self, count: int) -> Iterator[Block]:
        while count > 0:
            self._late = 0
            some = min(count, RATE_HZ)
            count -= some
            yield from self.add(np.zeros((some, CHANNELS), np.int16))

    def rest(self) -> Iterator[Block]:
        """Silence up to the end, and until the last block is whole."""
        left = max(0, self._end - self.behind)
        return self.silence(left + -(self.behind - self.at + left) % SAMPLES)


def _converted(resampler: Any, frame: Any) -> S16:
    """[n, 2]; `frame` None: what the resampler holds back."""
    parts = [] if resampler is None else [each.to_ndarray() for each in resampler.resample(frame)]
    if not parts:
        return np.zeros((0, CHANNELS), np.int16)
    return cast(S16, np.concatenate([part.reshape(-1, CHANNELS) for part in parts]))

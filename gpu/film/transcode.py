"""A film's sound encoded anew, in the child: decoded, put in its time, and made AAC. Knows libav."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from gpu.film.sound_wire import Out, Silent, sound_packets
from gpu.film.types import FilmError, FilmLimits

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_SAMPLES = 1024  # a packet's, and the encoder's delay
_BPS_A_CHANNEL = 96_000
_CONTIGUOUS_S = 0.005  # times that are off by less are rounding or jitter, not a hole
_GLOBAL_HEADER = 1 << 22


class Transcoder:
    """Decodes, and encodes as AAC in mono or stereo; holes become silence, so that time goes on in them."""

    def __init__(self, source: Any, zero: Fraction, fill: list[float] | None, limits: FilmLimits) -> None:
        self._source, self._zero, self._limits = source, zero, limits
        self._unit = Fraction(source.audio.time_base)
        context = source.audio.codec_context
        self._rate_in = int(context.sample_rate or 0)
        if self._rate_in < 1:
            raise Silent("the film's sound says no sample rate, and is left out")
        self._rate = self._rate_in if self._rate_in in _AAC_RATES else 48_000
        self._layout = "mono" if context.channels == 1 else "stereo"
        self._channels = 1 if self._layout == "mono" else 2
        self._make_resampler: Any = lambda: AudioResampler(
            format="fltp", layout=self._layout, rate=self._rate
        )
        begin, end = fill or (None, None)
        self._end = None if end is None else round(end * self._rate)
        # When the first sample encoded is heard; not known before the first is there, unless it is asked for.
        self._begins = None if begin is None else round(begin * self._rate)
        self._failed = False  # a packet could not be decoded
        self._late = 0  # samples to come that belong where others are already
        self._given = 0  # samples given to the encoder or waiting for it
        self._waiting = np.zeros((self._channels, 0), np.float32)
        self._blocks = self._packets = 0
        self._encoder = self._open()

    def run(self, out: Out) -> None:
        encoder = self._encoder
        out.head(
            codec="aac",
            rate=self._rate,
            channels=self._channels,
            extradata=bytes(encoder.extradata or b"").hex(),
            unit=(1, self._rate),
            zero=(0, 1),
            note=f"sound in {self._source.audio.name or 'another codec'} was encoded anew as AAC",
        )
        resampler = self._make_resampler()
        expected: Fraction | None = None  # seconds, where the next samples belong if nothing is missing
        for frame in self._frames(out):
            at = expected if frame.pts is None else frame.pts * self._unit - self._zero
            at = Fraction(0) if at is None else at
            if expected is None or abs(at - expected) > _CONTIGUOUS_S:
                self._convert(resampler, None, out)
                resampler = self._make_resampler()
                self._jump(round(at * self._rate), out)
                expected = at
            expected += Fraction(frame.samples, self._rate_in)
            frame.pts = None
            self._convert(resampler, frame, out)
        if expected is None and self._failed:
            name = self._source.audio.name or "an unknown codec"
            raise Silent(f"the film's sound ({name}) cannot be decoded, and is left out")
        self._convert(resampler, None, out)
        self._finish(out)

    def _finish(self, out: Out) -> None:
        if self._begins is None:
            return
        if self._end is not None:
            self._silence(self._end - self._begins - self._given, out)
        total = self._given
        self._silence(-total % _AAC_SAMPLES, out)
        self._send(self._encoder.encode(None), out, total)

    def _open(self) -> Any:
        context: Any = av.CodecContext.create("aac", "w")
        context.sample_rate, context.layout, context.format = self._rate, self._layout, "fltp"
        context.bit_rate = _BPS_A_CHANNEL * self._channels
        context.time_base = Fraction(1, self._rate)
        context.flags |= _GLOBAL_HEADER
        context.thread_count = 1
        # At this bitrate nearer to the source than the default, and faster: 41 dB for 36 on the sample film's
        # sound.
        context.options = {"aac_coder": "fast"}
        context.open()
        return context

    def _frames(self, out: Out) -> Iterator[Any]:
        """Decoded; what cannot be is left out, and a hole takes its place."""
        for packet in sound_packets(self._source, out):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                self._failed = True
                continue
            for frame in frames:
                if frame.sample_rate == self._rate_in:
                    yield frame

    def _convert(self, resampler: Any, frame: Any, out: Out) -> None:
        """`frame` None: what the resampler holds back; nothing, where the rate stays."""
        if frame is None and self._rate == self._rate_in:
            return
        for made in resampler.resample(frame):
            self._give(made.to_ndarray(), out)

    def _jump(self, at: int, out: Out) -> None:
        """Go on at sample `at`: after silence, or, where something is there already, without what
        overlaps."""
        if abs(at) > (self._limits.longest_s + 60) * self._rate:
            raise FilmError("the times of the film's sound are out of reach: it is damaged; convert it first")
        if self._begins is None:
            self._begins = at
        hole = at - (self._begins + self._given)
        self._late = max(0, -hole)
        if self._end is not None:
            hole = min(hole, self._end - self._begins - self._given)
        self._silence(hole, out)

    def _silence(self, samples: int, out: Out) -> None:
        while samples > 0:
            count = min(samples, self._rate)
            self._encode(np.zeros((self._channels, count), np.float32), out)
            samples -= count

    def _give(self, samples: Any, out: Out) -> None:
        """Samples [channels, n] of the film, without those that are late or beyond the end."""
        cut = min(self._late, samples.shape[1])
        self._late -= cut
        samples = samples[:, cut:]
        if self._end is not None:
            samples = samples[:, : max(0, self._end - (self._begins or 0) - self._given)]
        self._encode(samples, out)

    def _encode(self, samples: Any, out: Out) -> None:
        self._given += samples.shape[1]
        if self._given > (self._limits.longest_s + 60) * self._rate:
            raise FilmError("the film's sound is longer than films that are taken: cut it into parts")
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        while self._waiting.shape[1] >= _AAC_SAMPLES:
            block = np.ascontiguousarray(self._waiting[:, :_AAC_SAMPLES])
            self._waiting = self._waiting[:, _AAC_SAMPLES:]
            frame = av.AudioFrame.from_ndarray(block, "fltp", layout=self._layout)
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._blocks * _AAC_SAMPLES
            self._blocks += 1
            self._send(self._encoder.encode(frame), out)

    def _send(self, packets: list[Any], out: Out, total: int | None = None) -> None:
        """`total`: how many samples there are, once the last packets come."""
        begins = self._begins or 0
        for packet in packets:
            if not packet.size:
                continue
            at = begins + (self._packets - 1) * _AAC_SAMPLES
            beyond = 0 if total is None else max(0, at + _AAC_SAMPLES - begins - total)
            skip = _AAC_SAMPLES if self._packets == 0 else 0
            out.packet(at, _AAC_SAMPLES, skip, min(beyond, _AAC_SAMPLES), False, bytes(packet))
            self._packets += 1
        out.alive()

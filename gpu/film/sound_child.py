"""The child process that takes a film's sound out: `gpu.film.sound_child`, spoken to as `gpu.film.child` is.

Gives the packets of the first sound track as they are, or, where they cannot be kept, the same sound as AAC.
Knows no output file. It writes no faster than the parent reads: the socket is the queue.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from gpu.film import sandbox
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Say, Wire

# pts in the head's unit; samples (0: not known), samples not to be played at its begin and end, bytes,
# whether it is only there for the decoder
RECORD = struct.Struct("<qIIII?")
_BATCH_BYTES = 1 << 18
_ALIVE_S = 0.5
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_SAMPLES = 1024  # a packet's, and the encoder's delay
_BPS_A_CHANNEL = 96_000
_CONTIGUOUS_S = 0.005  # times that are off by less are rounding or jitter, not a hole
_GLOBAL_HEADER = 1 << 22


def main() -> None:
    wire = Wire(socket.socket(fileno=os.dup(0)))
    held = sandbox.enter(memory_bytes=int(sys.argv[-1]))
    # Everything that will be needed: behind the first barriers, before none can be opened any more.
    import av
    import av.audio.resampler

    import gpu.film.probe
    import gpu.film.source  # noqa: F401

    held += sandbox.seal()
    try:
        wire.send(Say.READY, body=json.dumps(held).encode())
        message = wire.receive(None, 1 << 16)
        try:
            _serve(wire, json.loads(message.body), wire.take_fd())
        except FilmError as error:
            _refuse(wire, str(error))
        except MemoryError:
            _refuse(wire, "the film's sound needs more memory than is given to it: convert it first")
        except (av.FFmpegError, ValueError, OSError) as error:
            _refuse(wire, f"the film's sound cannot be read ({error}): convert it to AAC first")
    except Gone:
        pass
    os._exit(0)


def _refuse(wire: Wire, text: str) -> None:
    wire.send(Say.REFUSED, body=text.encode()[:4000])


def _serve(wire: Wire, order: dict[str, Any], fd: int) -> None:
    """`order`: limits, demuxer, keep (names of codecs whose packets are given as they are), fill (null, or
    two times in seconds from the first frame that AAC made here shall begin and end at, in silence where the
    film has none)."""
    from gpu.film.probe import decode_first
    from gpu.film.source import Opening, Source

    limits = FilmLimits(**{**order["limits"], "containers": tuple(order["limits"]["containers"])})
    opening = Opening(fd, order["demuxer"], limits)
    source = Source(opening)
    zero = decode_first(source).pts * Fraction(source.video.time_base)
    source.close()
    source = Source(opening)
    if source.audio is None or source.audio.codec_context is None:
        wire.send(Say.SOUND, body=json.dumps({"codec": ""}).encode())
        wire.send(Say.END)
        return
    out = _Out(wire)
    if kept(source.audio.codec_context, order["keep"]):
        _copy(source, zero, out)
    else:
        _Transcoder(source, zero, order["fill"], limits).run(out)
    out.flush()
    source.check_unchanged()
    wire.send(Say.END)


def kept(context: Any, names: list[str]) -> bool:
    """Whether the packets are given as they are: of a codec asked for, and with what an MP4 must say of
    it."""
    name = "mp3" if context.name == "mp3float" else context.name
    needs_head = name in ("aac", "opus", "flac", "alac")
    return name in names and bool(context.sample_rate) and not (needs_head and not context.extradata)


class _Out:
    """Sends packets in batches."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._batch = bytearray()
        self._said = time.monotonic()

    def head(self, **said: Any) -> None:
        self._wire.send(Say.SOUND, body=json.dumps(said).encode())

    def packet(self, pts: int, samples: int, skip: int, drop: int, hidden: bool, data: bytes) -> None:
        self._batch += RECORD.pack(pts, samples, skip, drop, len(data), hidden)
        self._batch += data
        if len(self._batch) >= _BATCH_BYTES:
            self.flush()

    def alive(self) -> None:
        if time.monotonic() - self._said > _ALIVE_S:
            self._wire.send(Say.ALIVE)
            self._said = time.monotonic()

    def flush(self) -> None:
        if self._batch:
            self._wire.send(Say.PACKETS, body=bytes(self._batch))
            self._batch.clear()
            self._said = time.monotonic()


def _sound_packets(source: Any, out: _Out) -> Iterator[Any]:
    """Of the sound track; the parent hears that work goes on while pictures are passed over."""
    for packet in source.packets(sound=True):
        out.alive()
        if packet.stream_index == source.audio.index:
            yield packet


def _copy(source: Any, zero: Fraction, out: _Out) -> None:
    track, context = source.audio, source.audio.codec_context
    name = "mp3" if context.name == "mp3float" else context.name
    unit = Fraction(track.time_base)
    out.head(
        codec=name,
        rate=context.sample_rate,
        channels=context.channels,
        extradata=bytes(context.extradata or b"").hex(),
        unit=unit.as_integer_ratio(),
        zero=zero.as_integer_ratio(),
        note="",
    )
    last = 0
    for packet in _sound_packets(source, out):
        if not packet.size or packet.is_corrupt:
            continue
        data = bytes(packet)
        skip, drop = _trimmed(packet)
        samples = _samples(name, context, unit, packet.duration or 0, data)
        pts = packet.pts if packet.pts is not None else last
        last = pts + max(1, packet.duration or 0)
        out.packet(pts, samples, skip, drop, packet.is_discard, data)


def _trimmed(packet: Any) -> tuple[int, int]:
    """Samples that are not to be played at its begin and end (libavcodec/packet.h,
    AV_PKT_DATA_SKIP_SAMPLES)."""
    if not packet.has_sidedata("skip_samples"):
        return 0, 0
    before, after = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))
    return before, after


def _samples(name: str, context: Any, unit: Fraction, duration: int, data: bytes) -> int:
    """How many samples a packet has; 0 where it does not say. A container's own word counts where its unit is
    a sample or finer: in Matroska it is a millisecond."""
    exact = duration * unit * context.sample_rate
    if duration and unit * context.sample_rate <= 1 and exact.denominator == 1:
        return int(exact)
    if name == "opus":
        return opus_samples(data)
    if name == "ac3":
        return 1536  # ETSI TS 102 366 §4.2: six blocks of 256
    if name == "flac" and len(context.extradata) >= 34:
        least, most = struct.unpack_from(">HH", bytes(context.extradata)[-34:])  # RFC 9639 §8.2
        return int(least) if least == most else 0
    return int(context.frame_size or 0)


def opus_samples(data: bytes) -> int:
    """Of a packet, at 48 kHz (RFC 6716 §3.1)."""
    if not data:
        return 0
    config, code = data[0] >> 3, data[0] & 3
    if config < 12:
        size = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        size = (480, 960)[config & 1]
    else:
        size = (120, 240, 480, 960)[config & 3]
    count = 1 if code == 0 else 2 if code < 3 else (data[1] & 63 if len(data) > 1 else 0)
    return size * count


class _Transcoder:
    """Decodes, and encodes as AAC in mono or stereo; holes become silence, so that time goes on in the
    sound."""

    def __init__(self, source: Any, zero: Fraction, fill: list[float] | None, limits: FilmLimits) -> None:
        import av
        from av.audio.resampler import AudioResampler

        self._av, self._source, self._zero, self._limits = av, source, zero, limits
        self._unit = Fraction(source.audio.time_base)
        context = source.audio.codec_context
        self._rate_in = int(context.sample_rate or 0)
        if self._rate_in < 1:
            raise FilmError("the film's sound says no sample rate: convert it to AAC first")
        self._rate = self._rate_in if self._rate_in in _AAC_RATES else 48_000
        self._layout = "mono" if context.channels == 1 else "stereo"
        self._channels = 1 if self._layout == "mono" else 2
        self._make_resampler: Any = lambda: AudioResampler(
            format="fltp", layout=self._layout, rate=self._rate
        )
        begin, end = fill or (None, None)
        self._end = None if end is None else round(end * self._rate)
        self._begins = (
            None if begin is None else round(begin * self._rate)
        )  # the time of the first sample encoded
        self._late = 0  # samples to come that belong where others are already
        self._given = 0  # samples given to the encoder or waiting for it
        self._waiting = np.zeros((self._channels, 0), np.float32)
        self._blocks = self._packets = 0
        self._encoder = self._open()

    def run(self, out: _Out) -> None:
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
        self._convert(resampler, None, out)
        self._finish(out)

    def _finish(self, out: _Out) -> None:
        if self._begins is None:
            return
        if self._end is not None:
            self._silence(self._end - self._begins - self._given, out)
        total = self._given
        self._silence(-total % _AAC_SAMPLES, out)
        self._send(self._encoder.encode(None), out, total)

    def _open(self) -> Any:
        context: Any = self._av.CodecContext.create("aac", "w")
        context.sample_rate, context.layout, context.format = self._rate, self._layout, "fltp"
        context.bit_rate = _BPS_A_CHANNEL * self._channels
        context.time_base = Fraction(1, self._rate)
        context.flags |= _GLOBAL_HEADER
        context.thread_count = 1
        context.open()
        return context

    def _frames(self, out: _Out) -> Iterator[Any]:
        """Decoded; what cannot be is left out, and a hole takes its place."""
        for packet in _sound_packets(self._source, out):
            try:
                frames = packet.decode()
            except (self._av.FFmpegError, ValueError):
                continue
            for frame in frames:
                if frame.sample_rate == self._rate_in:
                    yield frame

    def _convert(self, resampler: Any, frame: Any, out: _Out) -> None:
        """`frame` None: what the resampler holds back; nothing, where the rate stays."""
        if frame is None and self._rate == self._rate_in:
            return
        for made in resampler.resample(frame):
            self._give(made.to_ndarray(), out)

    def _jump(self, at: int, out: _Out) -> None:
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

    def _silence(self, samples: int, out: _Out) -> None:
        while samples > 0:
            count = min(samples, self._rate)
            self._encode(np.zeros((self._channels, count), np.float32), out)
            samples -= count

    def _give(self, samples: Any, out: _Out) -> None:
        """Samples [channels, n] of the film, without those that are late or beyond the end."""
        cut = min(self._late, samples.shape[1])
        self._late -= cut
        samples = samples[:, cut:]
        if self._end is not None:
            samples = samples[:, : max(0, self._end - (self._begins or 0) - self._given)]
        self._encode(samples, out)

    def _encode(self, samples: Any, out: _Out) -> None:
        self._given += samples.shape[1]
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        while self._waiting.shape[1] >= _AAC_SAMPLES:
            block = np.ascontiguousarray(self._waiting[:, :_AAC_SAMPLES])
            self._waiting = self._waiting[:, _AAC_SAMPLES:]
            frame = self._av.AudioFrame.from_ndarray(block, "fltp", layout=self._layout)
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._blocks * _AAC_SAMPLES
            self._blocks += 1
            self._send(self._encoder.encode(frame), out)

    def _send(self, packets: list[Any], out: _Out, total: int | None = None) -> None:
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

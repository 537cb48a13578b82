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
from fractions import Fraction
from typing import Any

from gpu.film import sandbox
from gpu.film.sound_wire import LOST, Out, Silent, sound_packets
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Say, Wire

_CPU_S, _CPU_S_PER_BYTE = 60.0, 2e-7  # to open a film, and to go through it at a few MB a second
_CPU_S_PER_S = 1.0  # of sound decoded and encoded; measured: a twentieth


def main() -> None:
    wire = Wire(socket.socket(fileno=os.dup(0)))
    held = sandbox.enter(memory_bytes=int(sys.argv[-1]))
    # Everything that will be needed: behind the first barriers, before none can be opened any more.
    import av

    import gpu.film.probe
    import gpu.film.source
    import gpu.film.transcode  # noqa: F401

    held += sandbox.seal()
    try:
        wire.send(Say.READY, body=json.dumps(held).encode())
        message = wire.receive(None, 1 << 16)
        try:
            _serve(wire, json.loads(message.body), wire.take_fd())
        except FilmError as error:
            _refuse(wire, str(error))
        except Silent as error:
            wire.send(Say.REFUSED, flags=LOST, body=str(error).encode())
        except MemoryError:
            _refuse(wire, "the film's sound needs more memory than is given to it: convert it first")
        except (av.FFmpegError, ValueError, OSError, struct.error) as error:
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
    from gpu.film.transcode import Transcoder

    limits = FilmLimits(**{**order["limits"], "containers": tuple(order["limits"]["containers"])})
    sandbox.allow_cpu(_CPU_S + _CPU_S_PER_BYTE * os.fstat(fd).st_size + limits.longest_s * _CPU_S_PER_S)
    opening = Opening(fd, order["demuxer"], limits)
    source = Source(opening)
    zero = decode_first(source).pts * Fraction(source.video.time_base)
    source.close()
    source = Source(opening)
    if source.audio is not None and source.audio.codec_context is None:
        raise Silent("the film's sound is in a codec that is not known here, and is left out")
    if source.audio is None:
        wire.send(Say.SOUND, body=json.dumps({"codec": ""}).encode())
        wire.send(Say.END)
        return
    out = Out(wire)
    if kept(source.audio.codec_context, order["keep"]):
        _copy(source, zero, out)
    else:
        Transcoder(source, zero, order["fill"], limits).run(out)
    out.flush()
    source.check_unchanged()
    wire.send(Say.END)


def kept(context: Any, names: list[str]) -> bool:
    """Whether the packets are given as they are: of a codec asked for, and with what an MP4 must say of
    it."""
    name = "mp3" if context.name == "mp3float" else context.name
    needs_head = name in ("aac", "opus", "flac", "alac")
    return name in names and bool(context.sample_rate) and not (needs_head and not context.extradata)


def _copy(source: Any, zero: Fraction, out: Out) -> None:
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
    for packet in sound_packets(source, out):
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

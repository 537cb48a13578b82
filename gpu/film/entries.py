"""What an MP4 says of a sound's codec: sample entries. Knows a Sound's head, and of AC-3 the first packet."""

from __future__ import annotations

import struct

from gpu.film.boxes import box, full_box
from gpu.film.types import FilmError

# Codecs (libav's names) whose packets an MP4 takes as they are, and browsers or systems play. E-AC-3, DTS,
# MP2, Vorbis and PCM are encoded anew: MP4 has no place for Vorbis, and what plays the others in MP4 is rare.
COPIED = ("aac", "mp3", "opus", "flac", "alac", "ac3")
_AAC, _MP3 = 0x40, 0x6B  # object types of ISO/IEC 14496-1 (mp4ra.org)
_LEAST_HEAD = {"flac": 34, "alac": 24}  # bytes
_AUDIO_STREAM = 0x15  # stream type 5, upstream 0, reserved 1: ISO/IEC 14496-1 §7.2.6.6


def sound_entry(codec: str, rate: int, channels: int, extradata: bytes, first_packet: bytes) -> bytes:
    """The sample entry box. Raises FilmError for a head that is not the codec's."""
    try:
        if codec == "aac":
            return _entry(b"mp4a", rate, channels, _esds(_AAC, extradata))
        if codec == "mp3":
            return _entry(b"mp4a", rate, channels, _esds(_MP3, b""))
        if codec == "opus":
            return _entry(b"Opus", 48_000, channels, _opus(extradata))
        if len(extradata) < _LEAST_HEAD.get(codec, 0):
            raise ValueError(f"a head of {len(extradata)} bytes")
        if codec == "flac":
            head = (
                struct.pack(">BBH", 0x80, 0, 34) + extradata[-34:]
            )  # the last block of metadata, STREAMINFO
            return _entry(b"fLaC", rate, channels, full_box(b"dfLa", 0, 0, head))
        if codec == "alac":
            return _entry(b"alac", rate, channels, full_box(b"alac", 0, 0, extradata[-24:]))
        if codec == "ac3":
            return _entry(b"ac-3", rate, channels, _ac3(first_packet))
    except (struct.error, IndexError, ValueError) as error:
        raise FilmError(f"the film's sound says of itself what {codec} cannot be ({error})") from error
    raise FilmError(f"sound in {codec} has no place in an MP4")


def _entry(kind: bytes, rate: int, channels: int, about: bytes) -> bytes:
    """ISO/IEC 14496-12 §12.2.3. A rate beyond 16 bits is said by the codec's own box."""
    said = rate if rate < 1 << 16 else 0
    return box(kind, struct.pack(">6xH8xHH4xI", 1, channels, 16, said << 16), about)


def _esds(kind: int, config: bytes) -> bytes:
    """ISO/IEC 14496-1 §7.2.6, 14496-14 §5.6."""
    specific = _descriptor(5, config) if config else b""
    decoder = _descriptor(4, struct.pack(">BB11x", kind, _AUDIO_STREAM) + specific)
    return full_box(b"esds", 0, 0, _descriptor(3, b"\0\0\0" + decoder + _descriptor(6, b"\x02")))


def _descriptor(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size >= 1 << 14:
        raise ValueError(f"a head of {size} bytes")
    return bytes((tag, 0x80, 0x80, 0x80 | size >> 7, size & 127)) + body


def _opus(head: bytes) -> bytes:
    """From OpusHead (RFC 7845 §5.1), little-endian, to dOps (opus-codec.org, Opus in ISOBMFF §4.3.2)."""
    if head[:8] != b"OpusHead":
        raise ValueError("no OpusHead")
    channels, skip, rate, gain, family = struct.unpack_from("<BHIhB", head, 9)
    table = head[19 : 21 + channels] if family else b""
    return box(b"dOps", struct.pack(">BBHIhB", 0, channels, skip, rate, gain, family), table)


def _ac3(packet: bytes) -> bytes:
    """From a frame's head (ETSI TS 102 366 §4.3, §4.4) to dac3 (annex F.4)."""
    if packet[:2] != b"\x0b\x77":
        raise ValueError("no AC-3 frame")
    bits = int.from_bytes(
        packet[4:9], "big"
    )  # fscod 2, frmsizecod 6, bsid 5, bsmod 3, acmod 3, then mix levels

    def take(at: int, count: int) -> int:
        return bits >> (40 - at - count) & ((1 << count) - 1)

    fscod, size, bsid, bsmod, acmod = take(0, 2), take(2, 6), take(8, 5), take(13, 3), take(16, 3)
    at = 19
    at += 2 if acmod & 1 and acmod != 1 else 0  # cmixlev
    at += 2 if acmod & 4 else 0  # surmixlev
    at += 2 if acmod == 2 else 0  # dsurmod
    low = take(at, 1)
    word = fscod << 22 | bsid << 17 | bsmod << 14 | acmod << 11 | low << 10 | (size >> 1) << 5
    return box(b"dac3", word.to_bytes(3, "big"))

from __future__ import annotations

import struct

import pytest

from gpu.film.boxes import children
from gpu.film.entries import COPIED, sound_entry
from gpu.film.types import FilmError

AAC = bytes.fromhex("1190")  # LC, 48 kHz, stereo: ISO/IEC 14496-3 §1.6.2
OPUS = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 44_100, -256, 0)
FLAC = struct.pack(">HH", 4096, 4096) + bytes(30)
ALAC = struct.pack(">I4sI", 36, b"alac", 0) + bytes(range(24))
# 48 kHz, 192 kbit/s (frmsizecod 20), bsid 8, bsmod 0, acmod 2, dsurmod 0, no LFE
AC3 = b"\x0b\x77\0\0" + ((0 << 38 | 20 << 32 | 8 << 27 | 0 << 24 | 2 << 21).to_bytes(5, "big"))
HEADS = {"aac": AAC, "mp3": b"", "opus": OPUS, "flac": FLAC, "alac": ALAC, "ac3": b""}


def parts(codec: str, rate: int = 48_000) -> tuple[bytes, bytes, bytes]:
    """(kind of the entry, its fixed part, the box about the codec)."""
    entry = sound_entry(codec, rate, 2, HEADS[codec], AC3)
    assert struct.unpack_from(">I", entry) == (len(entry),)
    return entry[4:8], entry[8:36], entry[36:]


def test_every_codec_that_is_copied_has_an_entry() -> None:
    kinds = {codec: parts(codec)[0] for codec in COPIED}
    assert kinds == {
        "aac": b"mp4a",
        "mp3": b"mp4a",
        "opus": b"Opus",
        "flac": b"fLaC",
        "alac": b"alac",
        "ac3": b"ac-3",
    }
    for codec in COPIED:
        about = parts(codec)[2]
        assert [end for _, end, _ in children(about, 0, len(about))] == [len(about)]


def test_channels_and_rate_are_said() -> None:
    assert struct.unpack_from(">HH4xI", parts("aac")[1], 16) == (2, 16, 48_000 << 16)
    assert struct.unpack_from(">I", parts("flac", 96_000)[1], 24) == (0,)  # beyond 16 bits: dfLa says it


def test_aac_brings_its_config() -> None:
    assert parts("aac")[2].endswith(b"\x05\x80\x80\x80\x02" + AAC + b"\x06\x80\x80\x80\x01\x02")


def test_opus_is_turned_to_big_endian() -> None:
    about = parts("opus")[2]
    assert struct.unpack(">BBHIhB", about[8:]) == (0, 2, 312, 44_100, -256, 0)


def test_alac_keeps_its_config() -> None:
    assert parts("alac")[2] == ALAC


def test_ac3_is_read_from_its_first_frame() -> None:
    word = int.from_bytes(parts("ac3")[2][8:], "big")
    assert (word >> 22, word >> 17 & 31, word >> 11 & 7, word >> 10 & 1, word >> 5 & 31) == (0, 8, 2, 0, 10)


@pytest.mark.parametrize(
    ("codec", "head", "packet"),
    [
        ("opus", b"OpusTags", b""),
        ("opus", OPUS[:12], b""),
        ("ac3", b"", b"\0" * 20),
        ("aac", b"x" * 20_000, b""),
    ],
)
def test_a_head_that_is_not_the_codecs_is_refused(codec: str, head: bytes, packet: bytes) -> None:
    with pytest.raises(FilmError, match="cannot be"):
        sound_entry(codec, 48_000, 2, head, packet)


def test_what_has_no_place_in_an_mp4_is_refused() -> None:
    with pytest.raises(FilmError, match="no place"):
        sound_entry("vorbis", 48_000, 2, b"", b"")

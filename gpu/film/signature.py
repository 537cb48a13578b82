"""What a file is, by its first bytes and its outermost boxes, before libav sees any of it.

Only two families are let through, and which demuxer opens a file is decided here, never guessed by libav: so
a playlist, a concat script, an SDP or any other text called .mp4 never reaches a demuxer that follows
references.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from gpu.film.types import FilmError

Demuxer = Literal["mov", "matroska"]

_EBML = b"\x1a\x45\xdf\xa3"  # RFC 8794 §11.2.1
_SEGMENT = b"\x18\x53\x80\x67"  # RFC 9559 §5.1
_DOCTYPE = b"\x42\x82"  # RFC 8794 §11.2.4
_MOST_BOXES = 1_000_000  # a film of fragments has two boxes for each
# Outermost boxes of ISO/IEC 14496-12 and of QuickTime films older than it, which begin without ftyp.
_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")


@dataclass(frozen=True, slots=True)
class Signature:
    """`demuxer`: libav's; `container`: its short name for this kind of file."""

    demuxer: Demuxer
    container: str


def read_signature(fd: int) -> Signature:
    """Raises FilmError for what is neither MP4/MOV nor Matroska/WebM, or is cut off."""
    size = os.fstat(fd).st_size
    if size == 0:
        raise FilmError("the file is empty: send the film again")
    start = os.pread(fd, 64, 0)
    if start[:4] == _EBML:
        return _read_ebml(fd, size)
    if start[4:8] in _FIRST:
        _check_boxes(fd, size)
        return Signature("mov", "mov" if start[8:12] == b"qt  " or start[4:8] != b"ftyp" else "mp4")
    raise FilmError(
        f"this is no film that is taken (it begins with {_in_words(start[:8])}): send MP4, MOV, MKV or WebM "
        "itself, no playlist or link to one"
    )


def _check_boxes(fd: int, size: int) -> None:
    at = 0
    found: set[bytes] = set()
    for _ in range(_MOST_BOXES):
        head = os.pread(fd, 16, at)
        if len(head) < 8:
            break
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
            if length < 16:
                raise FilmError(f"the box {_name(kind)} at byte {at} says it has {length} bytes: damaged")
        elif length == 0:  # to the end of the file
            length = size - at
        elif length < 8:
            if found >= {b"moov", b"mdat"} or found >= {b"moov", b"moof"}:
                return  # padding behind the film, as some cameras leave it
            raise FilmError(f"the box {_name(kind)} at byte {at} says it has {length} bytes: damaged")
        found.add(kind)
        if at + length > size:
            if kind not in (b"moov", b"mdat", b"moof") and found >= {b"moov", b"mdat"}:
                return
            raise FilmError(
                f"the file is cut off: its box {_name(kind)} should reach to byte {at + length}, the file "
                f"ends at {size}: send the whole film"
            )
        at += length
        if at >= size:
            break
    if b"moov" not in found:
        raise FilmError(
            "the file has no table of its frames (moov): a recording or an upload that was not finished; "
            "send the whole film"
        )


def _read_ebml(fd: int, size: int) -> Signature:
    head = os.pread(fd, 4096, 0)
    length, used = _vint(head, 4)
    body = head[4 + used : 4 + used + length]
    at = body.find(_DOCTYPE)
    kind = b""
    if at >= 0:
        named, skipped = _vint(body, at + 2)
        kind = body[at + 2 + skipped :][:named].rstrip(b"\0")
    if kind not in (b"matroska", b"webm"):
        raise FilmError(f"an EBML file whose type is {_in_words(kind[:20])}: send MKV or WebM")
    start = 4 + used + length
    if os.pread(fd, 4, start) == _SEGMENT:
        head = os.pread(fd, 8, start + 4)
        content, used = _vint(head, 0)
        unknown = content == (1 << 7 * used) - 1  # a live recording: RFC 8794 §6.2
        end = start + 4 + used + content
        if not unknown and end > size:
            raise FilmError(
                f"the file is cut off: it should reach to byte {end} and ends at {size}: send the whole film"
            )
    return Signature("matroska", kind.decode())


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """(value, bytes used) of a variable-size integer (RFC 8794 §4)."""
    if at >= len(data) or data[at] == 0:
        raise FilmError("the file's head (EBML) is damaged: send the film again")
    used = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + used], "big") & ((1 << 7 * used) - 1)
    return value, used


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "replace") if kind.isalnum() else f"of {_in_words(kind)}"


def _in_words(raw: bytes) -> str:
    """A few bytes of somebody's file for people: as text where that can be printed, else as numbers."""
    text = raw.decode("latin-1").strip()
    if text and text.isascii() and text.isprintable():
        return f"the text “{text}”"
    return f"the bytes {raw.hex(' ')}" if raw else "nothing"

"""Several tracks of one kind in a message: enhanced RTMP's version 2, "Multitrack". Knows no codec. Pure.

OBS, FFmpeg and the specification send the first track, number 0, by itself and each further one in a message
of its own; one message may hold many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpu.errors import FrameError

MAIN = 0  # the track that is meant where none is named
MOST = 64  # tracks in a message: millions of empty ones would hold the loop up
_ONE, _MANY, _MANY_CODECS = 0, 1, 2  # AvMultitrackType
_BROKEN = "a message of several tracks that breaks off"


@dataclass(frozen=True, slots=True)
class Track:
    """`packet_type`: as of a message that is this track's alone."""

    number: int
    packet_type: int
    fourcc: bytes
    body: bytes


def read_tracks(payload: bytes, at: int) -> Iterator[Track]:
    """The tracks of a message; `at`: behind the packet type that says that there are several.

    Raises FrameError for one that breaks off, or is of a kind that is not known."""
    if at >= len(payload):
        raise FrameError(_BROKEN)
    kind, packet_type = payload[at] >> 4, payload[at] & 15
    at += 1
    if kind > _MANY_CODECS:
        raise FrameError(f"a message of several tracks of the unknown kind {kind}")
    fourcc = b""
    if kind != _MANY_CODECS:
        fourcc, at = _taken(payload, at, 4)
    for _ in range(MOST):
        if kind == _MANY_CODECS:
            fourcc, at = _taken(payload, at, 4)
        number, at = _taken(payload, at, 1)
        size = len(payload) - at
        if kind != _ONE:
            said, at = _taken(payload, at, 3)
            size = int.from_bytes(said, "big")
        body, at = _taken(payload, at, size)
        yield Track(number[0], packet_type, fourcc, body)
        if at >= len(payload):
            return
    raise FrameError(f"a message of more than {MOST} tracks")


def _taken(payload: bytes, at: int, size: int) -> tuple[bytes, int]:
    """`size` bytes from there, and where the next is."""
    if at + size > len(payload):
        raise FrameError(_BROKEN)
    return payload[at : at + size], at + size

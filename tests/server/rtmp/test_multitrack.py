"""Messages of several tracks: each track has its own bytes, and what breaks off is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.errors import FrameError
from server.rtmp.multitrack import Track, read_tracks


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(3, "big") + data


@pytest.mark.parametrize(
    ("payload", "tracks"),
    [
        (b"\x01mp4a\x02abc", [Track(2, 1, b"mp4a", b"abc")]),
        (b"\x00mp4a\x02", [Track(2, 0, b"mp4a", b"")]),
        (
            b"\x11mp4a\x00" + sized(b"ab") + b"\x01" + sized(b"c"),
            [Track(0, 1, b"mp4a", b"ab"), Track(1, 1, b"mp4a", b"c")],
        ),
        (
            b"\x21mp4a\x00" + sized(b"ab") + b"Opus\x07" + sized(b""),
            [Track(0, 1, b"mp4a", b"ab"), Track(7, 1, b"Opus", b"")],
        ),
    ],
)
def test_each_track_has_its_own(payload: bytes, tracks: list[Track]) -> None:
    assert list(read_tracks(b"\x95" + payload, 1)) == tracks


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x01", b"\x01mp4", b"\x01mp4a", b"\x11mp4a\x00\0\0", b"\x11mp4a\x00\0\0\x02a", b"\x21mp4a"],
)
def test_what_breaks_off_is_said(payload: bytes) -> None:
    with pytest.raises(FrameError, match="breaks off"):
        list(read_tracks(payload, 0))


def test_too_many_tracks_are_said() -> None:
    with pytest.raises(FrameError, match="more than 64 tracks"):
        list(read_tracks(b"\x11mp4a" + (b"\x01" + sized(b"")) * 65, 0))


def test_a_kind_of_later_is_said() -> None:
    with pytest.raises(FrameError, match="unknown kind 3"):
        list(read_tracks(b"\x31mp4a\x00", 0))


@given(st.binary(max_size=64))
def test_nothing_else_happens(payload: bytes) -> None:
    try:
        tracks = list(read_tracks(payload, 0))
    except FrameError:
        return
    assert sum(len(track.body) for track in tracks) <= len(payload)

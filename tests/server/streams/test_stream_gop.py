"""What late viewers begin with."""

from __future__ import annotations

from gpu.types import EncodedFrame
from server.streams.gop import LONGEST_TICKS, MOST_FRAMES, GopCache

FRAME = 3000


def frame(number: int, key: bool = False) -> EncodedFrame:
    return EncodedFrame(b"x", number * FRAME, key)


def test_it_begins_at_the_last_keyframe_and_holds_the_frames_themselves() -> None:
    cache = GopCache()
    frames = [frame(n, n in (0, 5)) for n in range(8)]
    for one in frames:
        cache.add(one)
    assert [id(one) for one in cache.frames()] == [id(one) for one in frames[5:]]


def test_before_the_first_keyframe_and_after_a_loss_there_is_nothing() -> None:
    cache = GopCache()
    cache.add(frame(0))
    assert cache.frames() == ()
    cache.add(frame(1, key=True))
    cache.clear()
    cache.add(frame(2))
    assert cache.frames() == ()


def test_a_long_group_is_let_go_until_the_next_keyframe() -> None:
    cache = GopCache()
    long = LONGEST_TICKS // FRAME
    for n in range(long + 1):
        cache.add(frame(n, n == 0))
    assert len(cache.frames()) == long + 1
    cache.add(frame(long + 1))
    assert cache.frames() == ()
    cache.add(frame(long + 2, key=True))
    assert len(cache.frames()) == 1


def test_it_is_bounded_whatever_the_times() -> None:
    cache = GopCache()
    for n in range(1000):
        cache.add(EncodedFrame(b"x", n, n == 0))
        assert len(cache.frames()) <= MOST_FRAMES

"""Sound in its time: no gap and no step where the source has none, and where it has, the same one."""

from __future__ import annotations

import numpy as np
import pytest

from server.sound.pcm_line import CONTIGUOUS, MOST_FILLED, S16, PcmLine, stretched

SIZE = 960


class Fed:
    """A line, what it gave, and a ramp for its sound so that it is known what came where."""

    def __init__(self) -> None:
        self.line = PcmLine(SIZE)
        self.blocks: list[tuple[S16, int]] = []
        self.given = 0

    def add(self, pts: int, count: int = 1024) -> None:
        ramp = np.arange(self.given, self.given + count) % 30_000 + 1
        self.given += count
        self.blocks += list(self.line.add(np.stack((ramp, -ramp), 1).astype(np.int16), pts))

    @property
    def pts(self) -> list[int]:
        return [pts for _, pts in self.blocks]

    @property
    def sound(self) -> S16:
        return np.concatenate([block for block, _ in self.blocks])


@pytest.mark.parametrize("count", [1, 100, 960, 1024, 2048, 5000])
def test_blocks_of_any_size_become_blocks_of_one(count: int) -> None:
    fed = Fed()
    for at in range(0, 20_000, count):
        fed.add(7 + at, count)
    assert fed.pts == list(range(7, 7 + SIZE * len(fed.blocks), SIZE))
    assert len(fed.blocks) == fed.given // SIZE
    assert np.array_equal(fed.sound[:, 0], np.arange(len(fed.sound)) + 1)
    assert np.array_equal(fed.sound[:, 1], -fed.sound[:, 0])


def test_times_rounded_to_milliseconds_change_nothing() -> None:
    fed = Fed()
    for number in range(200):
        fed.add(round(number * 1024 / 48) * 48)
    assert set(np.diff(fed.pts)) == {SIZE}
    assert np.array_equal(fed.sound[:, 0], np.arange(len(fed.sound)) % 30_000 + 1)


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_a_clock_that_drifts_is_followed_unheard(drift: float) -> None:
    fed = Fed()
    at = 0.0
    for _ in range(3000):  # a minute
        fed.add(round(at))
        at += 1024 * (1 + drift)
    assert set(np.diff(fed.pts)) == {SIZE}
    assert fed.line.filled == fed.line.cut == 0
    assert abs(fed.line._end() - at) < 48 * 5  # without, 600 samples at the end
    assert abs(fed.line._end() - fed.given) > 300


def test_a_hole_becomes_silence_and_time_goes_on() -> None:
    fed = Fed()
    fed.add(0, 9600)
    fed.add(9600 + 4800, 9600)
    assert fed.pts == [SIZE * i for i in range(len(fed.blocks))]
    assert not fed.sound[9600 : 9600 + 4800].any()
    assert fed.sound[9600 + 4800, 0] == 9601
    assert fed.line.filled == 4800


def test_what_comes_twice_is_heard_once() -> None:
    fed = Fed()
    fed.add(0, 9600)
    fed.given = 0
    for at in range(0, 19_200, 4800):
        fed.add(at, 4800)
    assert fed.pts == [SIZE * i for i in range(len(fed.blocks))]
    assert np.array_equal(fed.sound[:, 0], np.arange(len(fed.sound)) + 1)
    assert fed.line.cut == 9600


@pytest.mark.parametrize("jump", [MOST_FILLED + 1, 1 << 40, -MOST_FILLED - 1, -((1 << 32) * 48)])
def test_a_jump_is_followed(jump: int) -> None:
    fed = Fed()
    fed.add(100, 1000)
    fed.add(1100 + jump, 1920)
    assert fed.pts == [100, 1060, 1100 + jump, 1100 + jump + SIZE]
    first, rest = fed.blocks[1][0], fed.blocks[2][0]
    assert first[39, 0] == 1000  # the end of what was before it, filled up with silence
    assert not first[40:].any()
    assert rest[0, 0] == 1001
    assert fed.line.anchored == 2


def test_what_is_less_than_a_hole_is_no_hole() -> None:
    fed = Fed()
    fed.add(0)
    fed.add(1024 + CONTIGUOUS)
    assert fed.line.filled == 0


def test_stretching_keeps_both_ends() -> None:
    ramp = np.stack([np.arange(1000)] * 2, 1).astype(np.int16)
    longer = stretched(ramp, 1005)
    assert (len(longer), longer[0, 0], longer[-1, 1]) == (1005, 0, 999)
    assert np.abs(np.diff(longer[:, 0])).max() <= 1

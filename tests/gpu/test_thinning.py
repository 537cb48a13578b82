"""The spacing follows what a slow model takes, and pictures stay evenly apart."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator

import pytest

from gpu.intake import SPARE_SHARE
from gpu.mailbox import Mailbox
from gpu.thinning import Thinning


def chunks(
    camera_ticks: int, step_ticks: int, size: int, count: int, thin: bool = True
) -> Iterator[list[int]]:
    """What a model that takes `step_ticks` a chunk is given of a camera: a simulation, no clock."""
    box: Mailbox[int] = Mailbox(size, spare=size // SPARE_SHARE)
    thinning, free_at, lost, pts = Thinning(size), 0, 0, 0
    while count:
        pts += camera_ticks
        if not thin or not thinning.skips(pts):
            lost += box.put(pts)
        if box.full and pts >= free_at:
            chunk = box.take()
            thinning.took(chunk[-1], lost)
            lost, free_at, count = 0, pts + step_ticks, count - 1
            yield chunk


def gaps(made: list[list[int]]) -> list[int]:
    flat = [pts for chunk in made for pts in chunk]
    return [after - before for before, after in itertools.pairwise(flat)]


@pytest.mark.parametrize("size", [4, 12])
@pytest.mark.parametrize("slower", [1.3, 2.0, 3.7])
def test_a_slow_model_gets_evenly_spaced_pictures(size: int, slower: float) -> None:
    step = round(3000 * size * slower)
    even, bare = (gaps(list(chunks(3000, step, size, 100, thin))[20:]) for thin in (True, False))
    assert statistics.mean(even) == pytest.approx(statistics.mean(bare), rel=0.05), "as many pictures"
    assert statistics.pstdev(even) < 0.7 * statistics.pstdev(bare)
    if slower >= 2:
        assert statistics.pstdev(even) < 0.3 * statistics.pstdev(bare)
    assert sum(gap > 1.6 * statistics.mean(even) for gap in even) <= 0.05 * len(even)


@pytest.mark.parametrize("size", [4, 12])
def test_a_model_that_keeps_up_gets_all(size: int) -> None:
    assert set(gaps(list(chunks(3000, 3000 * size - 1500, size, 40)))) == {3000}


def test_a_model_that_is_quick_again_gets_all_again() -> None:
    thinning = Thinning(4)
    for turn in range(10):
        thinning.skips(turn * 30_000 - 3000)
        thinning.skips(turn * 30_000)
        thinning.took(turn * 30_000, lost=3)
    assert [thinning.skips(300_000 + n * 3000) for n in range(4)].count(True) >= 2
    for turn in range(400):
        thinning.took(300_000 + turn * 12_000, lost=0)
    assert not any(thinning.skips(9_000_000 + n * 3000) for n in range(20))


def test_one_hiccup_thins_little_and_not_for_long() -> None:
    thinning, pts, skipped = Thinning(4), 0, []
    for turn in range(40):
        fresh = 4 if turn != 10 else 5
        for _ in range(fresh):
            pts += 3000
            skipped.append(thinning.skips(pts))
        thinning.took(pts, lost=fresh - 4)
    assert sum(skipped) <= 6
    assert not any(skipped[-60:])


def test_times_that_jump_hold_nothing_up() -> None:
    thinning = Thinning(4)
    for turn in range(10):
        thinning.took(turn * 30_000, lost=3)
    assert not thinning.skips(10**9)
    assert not thinning.skips(5)
    thinning.took(10**12, lost=3)
    assert not thinning.skips(10**12 + 90_000)

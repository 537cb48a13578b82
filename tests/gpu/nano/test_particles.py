"""Rain and snow: functions of size, seed and time; particles persist and move from frame to frame."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.nano.particles import Particles
from gpu.types import CLOCK_HZ

FRAME = CLOCK_HZ // 30
PATCH = 5  # px around a particle that must be found again


def particles_of(cover: NDArray[np.float64], least: float, margin: tuple[int, int]) -> list[tuple[int, int]]:
    """Brightest pixels of their surroundings, away from the edges by `margin` (down, right)."""
    rows, columns = (
        range(PATCH, cover.shape[0] - margin[0] - PATCH),
        range(margin[1] + PATCH, cover.shape[1] - margin[1] - PATCH),
    )
    bright = [(y, x) for y in rows for x in columns if cover[y, x] >= least]
    return [(y, x) for y, x in bright if cover[y, x] == cover[y - 4 : y + 5, x - 4 : x + 5].max()]


def tracked(
    before: NDArray[np.float64], after: NDArray[np.float64], at: tuple[int, int], down: range, right: range
) -> bool:
    """Whether the patch around a particle is found again, moved by some step in these ranges."""
    y, x = at
    patch = before[y - PATCH : y + PATCH + 1, x - PATCH : x + PATCH + 1]
    patch = patch - patch.mean()
    for dy in down:
        for dx in right:
            seen = after[y + dy - PATCH : y + dy + PATCH + 1, x + dx - PATCH : x + dx + PATCH + 1]
            seen = seen - seen.mean()
            if (patch * seen).sum() > 0.8 * np.sqrt((patch**2).sum() * (seen**2).sum() + 1e-9):
                return True
    return False


@pytest.mark.parametrize(
    ("rain", "least", "down", "right"),
    [(False, 100.0, range(0, 9), range(-5, 6)), (True, 80.0, range(18, 62), range(-8, 1))],
)
def test_particles_persist_and_move(rain: bool, least: float, down: range, right: range) -> None:
    """Flakes fall a few pixels a frame, drops some dozens; at least four in five are found again."""
    weather, other = Particles(320, 480, 1), Particles(320, 480, 2)
    found = seen = by_chance = 0
    for start in (5 * CLOCK_HZ, 777_777):
        before, after = (weather.cover(start + i * FRAME, rain, not rain).astype(np.float64) for i in (0, 1))
        stranger = other.cover(start + FRAME, rain, not rain).astype(np.float64)
        for at in particles_of(before, least, (down[-1], max(-right[0], right[-1]))):
            found += 1
            seen += tracked(before, after, at, down, right)
            by_chance += tracked(before, stranger, at, down, right)
    assert found > 60
    assert seen >= 0.8 * found, (seen, found, by_chance)
    assert by_chance < 0.6 * seen, "a tracker that finds anything anywhere proves nothing"


@pytest.mark.parametrize(("rain", "snow"), [(True, False), (False, True), (True, True)])
def test_cover_is_a_function_of_size_seed_and_time(rain: bool, snow: bool) -> None:
    first, second, other = Particles(320, 240, 7), Particles(320, 240, 7), Particles(320, 240, 8)
    for pts in (0, 90_000, 2**40):
        cover = first.cover(pts, rain, snow)
        assert cover.shape == (240, 320)
        assert cover.dtype == np.uint8
        assert np.array_equal(cover, second.cover(pts, rain, snow))
        assert not np.array_equal(cover, other.cover(pts, rain, snow))
        assert 0.001 < (cover > 60).mean() < 0.25
    assert not np.array_equal(first.cover(0, rain, snow), first.cover(FRAME, rain, snow))


def test_no_weather_is_no_cover() -> None:
    assert not Particles(64, 48, 0).cover(123, False, False).any()


@pytest.mark.parametrize("size", [(16, 8), (8, 16), (64, 48)])
def test_small_pictures_have_weather_too(size: tuple[int, int]) -> None:
    assert Particles(*size, 0).cover(CLOCK_HZ, True, True).shape == size[::-1]


def test_flakes_have_soft_edges_and_many_sizes() -> None:
    """What natural snow has: hardly any flake is a disc of one value, and far ones outnumber near ones."""
    cover = Particles(640, 480, 2).cover(CLOCK_HZ, False, True)
    shown = cover[cover > 20]
    assert (shown > 0.9 * shown.max()).mean() < 0.25
    steps = np.abs(np.diff(cover.astype(np.int16), axis=1)).max()
    assert steps < 200, "an edge as hard as this twinkles when it moves"


def test_a_frame_is_cheap() -> None:
    weather = Particles(640, 480, 0)
    for kind in ((True, False), (False, True)):
        best = 1.0
        for i in range(20):
            begun = time.thread_time()
            weather.cover(i * FRAME, *kind)
            best = min(best, time.thread_time() - begun)
        assert best < 1.5e-3, kind

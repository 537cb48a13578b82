"""The parts of `nano` that need no network: sizes, textures, particles, transitions, colour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.edits import EDIT_NAMES
from gpu.nano.geometry import MULTIPLE, WORKING_PIXELS, coordinates, texture_weight, textures, working_size
from gpu.nano.particles import Particles, _tiles
from gpu.nano.transition import NOTHING, Conditioning, Transition


@given(st.integers(8, 640), st.integers(8, 360))
def test_working_size_fits_every_source(half_width: int, half_height: int) -> None:
    w, h = working_size(2 * half_width, 2 * half_height)
    assert w % MULTIPLE == 0 == h % MULTIPLE
    assert min(w, h) >= MULTIPLE
    assert w * h <= WORKING_PIXELS * 1.2


def test_a_640x480_camera_is_its_own_canvas() -> None:
    assert working_size(640, 480) == (320, 240)
    assert working_size(640, 360) == (320, 180)


def test_textures_are_one_endless_sheet() -> None:
    whole = textures(64, 48)
    assert whole.shape == (2, 96, 128)
    assert np.array_equal(textures(64, 48, 512, 1024), whole)
    assert np.array_equal(textures(16, 8, 20, 10), whole[:, 10:26, 20:52])
    assert np.abs(whole).max() <= 1
    assert whole.std(axis=(1, 2)).min() > 0.2


def test_coordinates_have_their_centre_in_the_middle() -> None:
    radius, height = coordinates(64, 48)
    assert radius.shape == (24, 32)
    assert radius.argmin() in {11 * 32 + 15, 11 * 32 + 16, 12 * 32 + 15, 12 * 32 + 16}
    assert np.all(np.diff(height[:, 0]) > 0)


def test_only_pencil_hatches() -> None:
    for index, name in enumerate(EDIT_NAMES):
        amounts = np.zeros(len(EDIT_NAMES), np.float32)
        amounts[index] = 1
        assert texture_weight(amounts) == (0 if name == "pencil" else 1)


@pytest.mark.parametrize(("rain", "snow"), [(True, False), (False, True), (True, True)])
def test_particles_are_a_function_of_time_and_seed(rain: bool, snow: bool) -> None:
    first, second, other = Particles(320, 240, 7), Particles(320, 240, 7), Particles(320, 240, 8)
    for pts in (0, 90_000, 2**40):
        a = first.cover(pts, rain, snow)
        assert np.array_equal(a, second.cover(pts, rain, snow))
        assert not np.array_equal(a, other.cover(pts, rain, snow))
        assert 0.001 < (a > 60).mean() < 0.25
    assert not np.array_equal(first.cover(0, rain, snow), first.cover(3000, rain, snow))


def test_flakes_persist_and_fall() -> None:
    """Two frames later the same flakes are lower: the best match of both pictures is a shift down."""
    snow = Particles(320, 240, 1)
    before, after = (snow.cover(pts, False, True).astype(np.float64) for pts in (900_000, 906_000))
    before, after = before - before.mean(), after - after.mean()
    likeness = {down: float((np.roll(before, down, 0) * after).sum()) for down in range(-10, 11)}
    best = max(likeness, key=likeness.__getitem__)
    assert 1 <= best <= 8
    assert likeness[best] > 0.4 * float((before * before).sum())


def test_a_new_seed_starts_elsewhere_in_the_same_tiles() -> None:
    weather, other = Particles(64, 48, 0), Particles(64, 48, 5)
    made = _tiles.cache_info().misses
    unseeded = weather.cover(123, True, True)
    weather.place(5)
    assert np.array_equal(weather.cover(123, True, True), other.cover(123, True, True))
    assert not np.array_equal(weather.cover(123, True, True), unseeded)
    for kind in ((True, False), (False, True)):  # layer by layer: not the same picture moved
        shown = np.sort(weather.cover(123, *kind), axis=None)
        assert not np.array_equal(shown, np.sort(Particles(64, 48, 0).cover(123, *kind), axis=None))
    weather.place(0)
    assert np.array_equal(weather.cover(123, True, True), unseeded)
    assert _tiles.cache_info().misses == made, "tiles are made when the weather is opened, and once a size"


def test_no_weather_is_no_cover() -> None:
    assert not Particles(64, 48, 0).cover(123, False, False).any()


def test_transition_from_the_source_fades_strength() -> None:
    amounts = np.eye(len(EDIT_NAMES), dtype=np.float32)[3]
    moving = Transition()
    assert moving.at(0).is_source
    moving.begin(Conditioning(amounts, 0.8), 1000)
    strengths = [moving.at(pts).strength for pts in range(3000, 120_000, 3000)]
    assert strengths[0] > 0
    assert strengths == sorted(strengths)
    assert strengths[-1] == 0.8
    assert np.array_equal(moving.at(200_000).amounts, amounts)
    moving.begin(NOTHING, 1000)
    assert 0 < moving.at(203_000).strength < 0.8
    assert moving.at(400_000).is_source


def test_transition_before_the_first_frame_holds_at_once() -> None:
    moving = Transition()
    moving.begin(Conditioning(np.ones(len(EDIT_NAMES), np.float32), 1.0), 5000)
    assert moving.at(0).strength == 1.0


def test_progress_never_falls() -> None:
    moving = Transition()
    moving.at(90_000)
    moving.begin(Conditioning(np.ones(len(EDIT_NAMES), np.float32), 1.0), 1000)
    strengths = [moving.at(pts).strength for pts in (120_000, 100_000, 0, 150_000, 10, 180_000, 0)]
    assert strengths == sorted(strengths)
    assert strengths[-1] == 1.0


def test_interrupted_transition_goes_on_from_where_it_was() -> None:
    eye = np.eye(len(EDIT_NAMES), dtype=np.float32)
    moving = Transition()
    moving.at(0)
    moving.begin(Conditioning(eye[0], 1.0), 1000)
    half = moving.at(45_000)
    assert half.strength == pytest.approx(0.5)
    moving.begin(Conditioning(eye[1], 1.0), 1000)
    after = moving.at(45_900)
    assert after.strength == pytest.approx(half.strength, abs=0.02)
    assert np.abs(after.amounts - half.amounts).max() < 0.02


def test_colour_round_trip() -> None:
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 1, (12, 16, 3)).astype(np.float32)
    image = np.repeat(np.repeat(small, 2, 0), 2, 1)
    luma, chroma = rgb_to_planes(image)
    assert luma.min() >= 16 / 255 - 1e-6
    assert luma.max() <= 235 / 255 + 1e-6
    assert np.abs(planes_to_rgb(luma, chroma) - image).max() < 1e-4

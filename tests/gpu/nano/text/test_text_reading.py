"""How much of an edit: degrees, percentages, light weather."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.reading import DEGREES
from tests.gpu.nano.text.conftest import amount


@pytest.mark.parametrize(("prompt", "name"), [
    ("less fog", "fog"), ("less rain", "rain"), ("less foggy", "fog"), ("light rain", "rain"),
    ("a light snow", "snow"), ("add light fog", "fog"),
])  # fmt: skip
def test_light_and_less_weather_is_slight(tower: TextTower, prompt: str, name: str) -> None:
    assert amount(tower, prompt, name) == amount(tower, f"a little {name}", name) == pytest.approx(0.4)


@pytest.mark.parametrize(("prompt", "names"), [
    ("sketchy charcoal", {"charcoal"}), ("a lino cut with black ink", {"linocut"}),
    ("a mosaic and a sketch", {"mosaic", "pencil"}), ("mosaic, then charcoal", {"mosaic", "charcoal"}),
])  # fmt: skip
def test_two_words_for_one_art_are_one_art(tower: TextTower, prompt: str, names: set[str]) -> None:
    assert {part.name for part in tower.read(prompt).parts} == names


@pytest.mark.parametrize("name", ["fog", "rain", "snow", "night", "blur", "darken", "warm"])
def test_intensity_grows_with_its_words(tower: TextTower, name: str) -> None:
    assert name in DEGREES
    how = {"fog": "foggy", "rain": "rainy", "snow": "snowy", "blur": "blurry", "night": "dark"}
    said = how.get(name) or {"darken": "darker", "warm": "warmer"}[name]
    slight, plain = amount(tower, f"make it slightly {said}", name), amount(tower, f"make it {said}", name)
    strong = amount(tower, f"make it {'much' if said.endswith('er') else 'very'} {said}", name)
    assert slight < plain < strong == 1.0


@pytest.mark.parametrize(("prompt", "name", "value"), [
    ("20% fog", "fog", 0.2),
    ("sepia at 40 percent", "sepia", 0.4),
    ("make it snow, 75 %", "snow", 0.75),
    ("250% rain", "rain", 1.0),
])  # fmt: skip
def test_a_percentage_is_taken_at_its_word(tower: TextTower, prompt: str, name: str, value: float) -> None:
    assert amount(tower, prompt, name) == pytest.approx(value)

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
    ("250% rain", "rain", 1.0), ("sepia 1000%", "sepia", 1.0), ("night - 30%", "night", 0.3),
    ("10-40% rain", "rain", 0.4), ("snow -20%", "snow", 0.0), ("-5 % vintage film", "vintage_film", 0.0),
    ("mosaic minus 10 percent", "mosaic", 0.0), ("blur at \N{MINUS SIGN}1%", "blur", 0.0),
])  # fmt: skip
def test_a_percentage_is_taken_at_its_word(tower: TextTower, prompt: str, name: str, value: float) -> None:
    assert amount(tower, prompt, name) == pytest.approx(value)


@pytest.mark.parametrize(("prompt", "label"), [
    ("watercolour 0%", "watercolour (off)"), ("pencil sketch -30%", "pencil sketch (off)"),
    ("0% snow in the background", "snow (background, off)"), ("fog 1%", "fog"),
    ("sunset 60%, rain 0%", "sunset + rain (off)"),
])  # fmt: skip
def test_what_is_turned_down_to_nothing_is_said_to_be_off(tower: TextTower, prompt: str, label: str) -> None:
    assert tower.read(prompt).label == label

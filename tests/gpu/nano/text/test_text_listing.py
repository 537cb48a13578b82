"""Lists, of which the network loses items."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.listing import MOST_ITEMS, items_of


@pytest.mark.parametrize(("prompt", "parts"), [
    ("me cartoon; room night; snow; fog; blur", {
        ("cartoon", "person"), ("night", "background"), ("snow", "background"), ("fog", "background"),
        ("blur", "background"),
    }),
    ("charcoal me, ink background, snow", {
        ("charcoal", "person"), ("ink", "background"), ("snow", "background"),
    }),
    ("night, blur, snow, fog", {(name, "everywhere") for name in ("night", "blur", "snow", "fog")}),
    ("mosaic; night; fog; snow", {(name, "everywhere") for name in ("mosaic", "night", "fog", "snow")}),
])  # fmt: skip
def test_nothing_of_a_list_is_lost(tower: TextTower, prompt: str, parts: set[tuple[str, str]]) -> None:
    assert {(part.name, part.region) for part in tower.read(prompt).parts} == parts


@pytest.mark.parametrize("prompt", [
    "night", "no rain, snow", "snow, but no fog", "rain, only on me", "", ", ,", "a," * (MOST_ITEMS + 1),
])  # fmt: skip
def test_what_is_no_list_or_denies_has_no_items(prompt: str) -> None:
    assert items_of(prompt) == ()

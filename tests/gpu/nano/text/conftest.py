"""The text tower as it ships, loaded once, and short ways to a part of what it reads."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.types import Part


@pytest.fixture(scope="session")
def tower() -> TextTower:
    return TextTower.load()


def part(tower: TextTower, prompt: str, name: str) -> Part:
    return {part.name: part for part in tower.read(prompt).parts}[name]


def amount(tower: TextTower, prompt: str, name: str) -> float:
    return part(tower, prompt, name).amount

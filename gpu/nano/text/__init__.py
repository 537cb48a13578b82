"""Free English to edits: `TextTower` reads prompts on numpy alone; the other modules make its weights."""

from gpu.nano.text.tower import WEIGHTS, TextTower

__all__ = ["WEIGHTS", "TextTower"]

"""What a server must know of the full-size models before it loads one: names, canvases, memory, presets.

Sizes only, no torch. Facts on LiveEdit: arXiv 2606.26740 and its repository (Apache-2.0).
"""

from __future__ import annotations

import math

from gpu.models.settings import DEFAULT, ModelSettings
from gpu.types import ModelSpec, Preset
from gpu.wan.config import LIVEEDIT_1_3B, TOY, VAE_STRIDE, StreamShape, WanConfig
from gpu.wan.memory import FloatKind, stream_needs, total

FULL, TOY_NAME = LIVEEDIT_1_3B.name, TOY.name
NAMES = (FULL, TOY_NAME)
CONFIGS: dict[str, WanConfig] = {FULL: LIVEEDIT_1_3B, TOY_NAME: TOY}

# (width, height) the network works at, large first; LiveEdit was trained at that. Each also upright.
CANVASES: dict[str, tuple[tuple[int, int], ...]] = {FULL: ((832, 480), (640, 352)), TOY_NAME: ((112, 64),)}
MAX_SIZE = (1920, 1080)  # of a source: its detail stays, only what the edit changes has the canvas' detail
RANDOM_WEIGHTS = "random weights: for measuring only, the picture means nothing"
_TITLES = {
    FULL: "LiveEdit 1.3B (open-ended edits, needs a GPU)",
    TOY_NAME: "LiveEdit's network at a toy size (for tests)",
}
_LICENCES = {FULL: "Apache-2.0 (code); its weights have terms of their own", TOY_NAME: "Apache-2.0"}

# (name, label, prompt, group)
_PRESETS = (
    ("anime", "Anime", "turn the video into hand-drawn anime", "looks"),
    ("clay", "Clay", "make everything look like clay animation", "looks"),
    ("oil", "Oil painting", "turn the video into a thick oil painting", "looks"),
    ("cyberpunk", "Cyberpunk", "make it a neon cyberpunk scene at night", "looks"),
    ("robot", "Robot", "turn the person into a robot with a metal face", "person"),
    ("marble", "Marble statue", "turn the person into a white marble statue", "person"),
    ("suit", "Space suit", "dress the person in a white space suit", "person"),
    ("glasses", "Sunglasses", "put black sunglasses on the person", "person"),
    ("red_hair", "Red hair", "change the person's hair to bright red", "person"),
    ("beach", "Beach", "change the background to a tropical beach", "place"),
    ("library", "Library", "change the background to an old library", "place"),
    ("winter", "Snowfall", "make it a winter scene with falling snow", "weather"),
    ("remove", "Empty wall", "remove everything from the wall behind the person", "place"),
)


def canvas_of(name: str, width: int, height: int) -> tuple[int, int]:
    """The canvas for a source: of its orientation, the nearest in shape, and of those alike the smallest that
    holds it, or else the largest."""
    upright = height > width
    sizes = [(h, w) if upright else (w, h) for w, h in CANVASES[name]]

    def rank(size: tuple[int, int]) -> tuple[int, int, int]:
        w, h = size
        stretch = abs(math.log(w / h * height / width))  # shapes within a tenth of each other are alike
        holds = w * h * 1.05 >= width * height
        return round(stretch * 10), 0 if holds else 1, w * h if holds else -w * h

    return min(sizes, key=rank)


def shape_of(name: str, canvas: tuple[int, int], settings: ModelSettings = DEFAULT) -> StreamShape:
    """The stream's shape on a canvas."""
    return StreamShape(*canvas, block=settings.chunk_frames // VAE_STRIDE[0])


def missing_weights(name: str, settings: ModelSettings = DEFAULT) -> str:
    """What to run to get a model's weights; "" where they are there."""
    from gpu.checkpoints import store

    found = store.find(name, settings.models_dir)
    return found.message if isinstance(found, store.Missing) else ""


def spec_of(name: str, settings: ModelSettings = DEFAULT) -> ModelSpec:
    """The spec under an operator's settings. `name`: one of NAMES."""
    toy = name == TOY_NAME
    random = toy or settings.random_weights
    shape = shape_of(name, CANVASES[name][0], settings)
    floats: FloatKind = "float32" if toy else "bfloat16"
    return ModelSpec(
        name=name,
        title=_TITLES[name],
        frames_per_chunk=settings.chunk_frames,
        max_size=MAX_SIZE,
        licence=_LICENCES[name],
        weights=RANDOM_WEIGHTS if random else "LiveEdit's on Hugging Face",
        memory_bytes_per_stream=total(stream_needs(CONFIGS[name], shape, floats, settings.mask_cache)),
        frames=("host",),
        presets=tuple(Preset(*preset) for preset in _PRESETS),
        note=RANDOM_WEIGHTS if random else "",
    )

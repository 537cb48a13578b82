"""What an operator decides about the models that are not in the package. Data only."""

from __future__ import annotations

from dataclasses import dataclass

CHUNKS = (4, 12)  # pictures a step: blocks of 1 or 3 latents


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """`random_weights`: run large models without trained weights, for measuring. `chunk_frames`: one of
    CHUNKS, few for little delay, many as LiveEdit was trained. `models_dir`: where weights are kept, "": the
    usual folder."""

    random_weights: bool = False
    chunk_frames: int = CHUNKS[0]
    models_dir: str = ""


DEFAULT = ModelSettings()

"""What an operator decides about the models that are not in the package. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CHUNKS = (4, 12)  # pictures a step: blocks of 1 or 3 latents
STEPS = (4, 2)  # passes a block, besides the one that remembers it
Autoencoding = Literal["tiny", "wan"]
PassEngineKind = Literal["auto", "eager", "graphs", "onnxruntime", "tensorrt"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """`random_weights`: run large models without trained weights, for measuring. `chunk_frames`: one of
    CHUNKS, few for little delay, many as LiveEdit was trained. `models_dir`: where weights are kept, "": the
    usual folder. `steps`: one of STEPS. `mask_cache`: save where the block before changed nothing (only with
    4 steps). `fp8`: multiply 8-bit floats where the GPU has them; not for
    ONNX Runtime."""

    random_weights: bool = False
    chunk_frames: int = CHUNKS[0]
    models_dir: str = ""
    engine: PassEngineKind = "auto"
    steps: int = STEPS[0]
    mask_cache: bool = False
    autoencoder: Autoencoding = "tiny"
    fp8: bool = False


DEFAULT = ModelSettings()

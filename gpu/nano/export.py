"""`python -m gpu.nano.export`: a checkpoint becomes gpu/nano/weights/nano.onnx with its metadata.

The graph is exported once with free sizes; an engine fixes them when it compiles for a source.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor

from gpu.nano.edits import EDIT_NAMES
from gpu.nano.geometry import MULTIPLE, WORKING_PIXELS, working_size
from gpu.nano.network import EDITS, Core, Step

WEIGHTS = Path(__file__).parent / "weights"
VERSION = 1
GRAPHS = {"nano.onnx": True, "nano_resample.onnx": False}  # file: the source is the canvas
INPUTS = (
    "y", "uv", "cond", "strength", "keep", "texture", "coords", "particles",
    "cache_source", "cache_luma", "cache_chroma",
)  # fmt: skip
OUTPUTS = ("new_y", "new_uv", "new_cache_source", "new_cache_luma", "new_cache_chroma")


def example_inputs(width: int, height: int) -> tuple[Tensor, ...]:
    """Inputs of the right shapes for a source of that size, random where that matters."""
    w, h = working_size(width, height)
    generator = torch.Generator().manual_seed(1)

    def picture(*shape: int) -> Tensor:
        return torch.randint(0, 255, shape, generator=generator, dtype=torch.uint8)

    return (
        picture(1, 1, height, width),
        picture(1, 2, height // 2, width // 2),
        torch.full((1, EDITS), 0.3),
        torch.ones(1, 1, 1, 1),
        torch.ones(1, 1, 1, 1),
        torch.zeros(1, 1, 2 * h, 2 * w),
        torch.zeros(1, 2, h // 2, w // 2),
        picture(1, 1, height, width),
        torch.zeros(1, 1, 2 * h, 2 * w),
        torch.zeros(1, 1, 2 * h, 2 * w),
        torch.zeros(1, 2, h, w),
    )


def export(core: Core, path: Path, native: bool) -> None:
    """Write `core` as an ONNX step with named tensors and free source size."""
    step = Step(core, native).eval()
    full = {2: "H", 3: "W"}
    canvas = full if native else {2: "h2", 3: "w2"}
    half = {2: "H_2", 3: "W_2"}
    sizes = {
        "y": full, "uv": half, "texture": canvas, "coords": {2: "hh", 3: "hw"}, "particles": full,
        "cache_source": canvas, "cache_luma": canvas, "cache_chroma": half if native else {2: "h", 3: "w"},
    }  # fmt: skip
    sizes |= {
        f"new_{name}": sizes[name] for name in ("y", "uv", "cache_source", "cache_luma", "cache_chroma")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = (640, 480) if native else (1280, 720)
    with warnings.catch_warnings():
        # the tracing exporter keeps Resize's sizes symbolic, which one graph for every camera needs; it is
        # the older one, and says so
        warnings.simplefilter("ignore")
        torch.onnx.export(
            step, example_inputs(width, height), str(path), input_names=list(INPUTS),
            output_names=list(OUTPUTS), dynamic_axes=sizes, opset_version=17, dynamo=False,
        )  # fmt: skip


def write_metadata(folder: Path, checkpoint: dict[str, object]) -> None:
    """Beside the weights: what they are, so that a wrong pair is noticed at load."""
    about = {
        "name": "nano",
        "version": VERSION,
        "edits": list(EDIT_NAMES),
        "working_pixels": WORKING_PIXELS,
        "multiple": MULTIPLE,
        "inputs": list(INPUTS),
        "outputs": list(OUTPUTS),
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in GRAPHS},
        "trained_steps": checkpoint["step"],
        "trained_minutes": round(float(str(checkpoint["minutes"])), 1),
    }
    (folder / "nano.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="export a nano checkpoint to ONNX")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder")
    arguments = parser.parse_args()
    checkpoint = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    core = Core()
    core.load_state_dict(checkpoint["ema"])
    for name, native in GRAPHS.items():
        export(core, arguments.out / name, native)
        print(f"{arguments.out / name}: {(arguments.out / name).stat().st_size / 1e6:.2f} MB")
    write_metadata(arguments.out, checkpoint)


if __name__ == "__main__":
    main()

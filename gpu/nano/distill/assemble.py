"""`relens distill export`: checkpoints become a complete folder of weights that a server can load.

What was not trained anew is taken from the weights in the package.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from gpu.models.nano import WEIGHT_FILES, WEIGHTS
from gpu.nano.distill import blur, experts, finish, hold, regain, sheet, steady
from gpu.nano.distill.metadata import write_metadata

TEXT = "text.npz"


def export(
    kinds: Sequence[str],
    exporters: Mapping[str, str],
    checkpoints: Path,
    weights: Path,
    say: Callable[[str], None] = print,
) -> int:
    """`exporters`: by kind, the module with `export(checkpoint, weights)`. No `kinds`: all that were trained.

    Raises SystemExit where there is nothing to export, or a part is nowhere to be had."""
    chosen = list(kinds) or [kind for kind in exporters if (checkpoints / f"{kind}.pt").exists()]
    missing = [kind for kind in chosen if not (checkpoints / f"{kind}.pt").exists()]
    if missing or not (chosen or (checkpoints / TEXT).exists()):
        what = f"{missing[0]}.pt" if missing else "checkpoint"
        raise SystemExit(f"{checkpoints} has no {what}: run `relens distill train KIND --out {checkpoints}`")
    weights.mkdir(parents=True, exist_ok=True)
    if weights.resolve() != WEIGHTS.resolve():
        _take_over(weights)
    minutes: dict[str, float] = {}
    for kind in chosen:
        checkpoint = checkpoints / f"{kind}.pt"
        importlib.import_module(exporters[kind]).export(checkpoint, weights)
        minutes[kind] = float(torch.load(checkpoint, map_location="cpu", weights_only=True)["minutes"])
        say(f"{kind}: exported, {minutes[kind]:.1f} minutes of training")
    for made in (steady, regain, blur, hold, sheet, finish):  # nothing of them is learned
        made.export(weights)
    if (checkpoints / TEXT).exists():
        shutil.copyfile(checkpoints / TEXT, weights / TEXT)
        say("text: exported")
    absent = [name for name in WEIGHT_FILES if not (weights / name).exists()]
    if absent:
        raise SystemExit(
            f"{weights} is not complete, {', '.join(absent)} is missing: train and export that too"
        )
    write_metadata(weights, minutes)
    total = sum(path.stat().st_size for path in weights.iterdir() if path.is_file())
    say(f"{weights}: complete, {total / 1e6:.1f} MB")
    return 0


def _take_over(weights: Path) -> None:
    """What the folder lacks comes from the package; experts too, edit by edit."""
    for name in WEIGHT_FILES:
        if name != experts.FILE and not (weights / name).exists() and (WEIGHTS / name).exists():
            shutil.copyfile(WEIGHTS / name, weights / name)
    if not (weights / experts.FILE).exists() and (WEIGHTS / experts.FILE).exists():
        shutil.copyfile(WEIGHTS / experts.FILE, weights / experts.FILE)

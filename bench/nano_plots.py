"""Plots of `nano`'s report, as PNG: fidelity and flicker by edit. Draws what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLOURS = {
    "looks": "#2a7de1",
    "weather": "#12a3a3",
    "room": "#8a8f98",
    "drawings": "#495057",
    "styles": "#d9480f",
}


def plots(out: Path, scores: Sequence[Any]) -> list[Path]:
    """OUT/plot_fidelity.png and OUT/plot_flicker.png; none without scores."""
    if not scores:
        return []
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from gpu.nano.distill.verdict import by_edit, kinds

    groups = kinds(scores)
    paths = [out / "plot_fidelity.png", out / "plot_flicker.png"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for name, found in groups.items():
        psnr, energy = by_edit(found, lambda s: s.psnr_db), by_edit(found, lambda s: s.energy)
        left.scatter(list(energy.values()), list(psnr.values()), s=18, color=COLOURS[name], label=name)
    left.set_xlabel("fine energy, of the teacher's")
    left.set_ylabel("PSNR to the teacher, dB")
    left.axvline(1, color="#ced4da", zorder=0)
    left.legend(frameon=False)
    grams = by_edit(groups.get("styles", []), lambda s: s.gram)
    for number, (name, value) in enumerate(sorted(grams.items(), key=lambda item: item[1])):
        right.barh(number, value, color=COLOURS["styles"] if value <= 0.35 else "#adb5bd")
        right.text(0.005, number, name, va="center", fontsize=7)
    right.axvline(0.35, color="#212529", linewidth=1)
    right.set_xlabel("Gram distance to the teacher, of the source's (bound 0.35)")
    right.set_yticks([])
    figure.savefig(paths[0], dpi=80)
    plt.close(figure)

    figure, axes = plt.subplots(figsize=(11, 4.4), layout="constrained")
    at = 0
    for name, found in groups.items():
        ratios = [by_edit(found, pick) for pick in (_with, _without)]
        names = sorted(ratios[0], key=lambda edit: ratios[0][edit])
        place = range(at, at + len(names))
        kept, alone = ([each[edit] for edit in names] for each in ratios)
        axes.vlines(place, kept, alone, color="#ced4da")
        axes.scatter(place, alone, s=14, facecolors="none", edgecolors=COLOURS[name])
        axes.scatter(place, kept, s=18, color=COLOURS[name], label=name)
        at += len(names) + 1
    axes.axhline(0.6, color="#212529", linewidth=1)
    axes.axhline(1, color="#ced4da", linewidth=1)
    axes.set_ylabel("flicker, of the per-frame teacher's (bound 0.6)")
    axes.set_xlabel("edits; filled: with the cache, open: without")
    axes.set_xticks([])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, ncols=5)
    figure.savefig(paths[1], dpi=80)
    plt.close(figure)
    return paths


def _with(score: Any) -> float:
    """As it is judged: the share of each clip's, then the mean."""
    return float(score.flicker / max(1e-6, score.flicker_teacher))


def _without(score: Any) -> float:
    return float(score.flicker_alone / max(1e-6, score.flicker_teacher))

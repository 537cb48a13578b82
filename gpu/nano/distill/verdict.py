"""What must be shown, and whether it is: bounds beside measured numbers; nothing is rounded in favour.

A bound holds only if the worst edit (mean over the clips) keeps it. Knows numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpu.nano.distill.scores import Score
from gpu.nano.distill.tracking import Tracks
from gpu.nano.distill.trials import Drift
from gpu.nano.edits import EDIT_BY_NAME, WEATHER_PARTICLES

CACHE_GAIN = 0.20  # of the flicker that the cache must take away ...
CACHE_LOSS_DB = 0.1  # ... while PSNR falls by no more than this
Pick = Callable[[Score], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that must be shown."""

    what: str
    bound: str
    measured: str
    met: bool


def kinds(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Scores by what the bounds speak of. Seasons and fog are looks; what the mask decides stands apart."""
    groups: dict[str, list[Score]] = {"looks": [], "drawings": [], "styles": [], "weather": [], "room": []}
    for score in scores:
        edit = EDIT_BY_NAME[score.edit]
        if edit.name in WEATHER_PARTICLES:
            group = "weather"
        elif edit.group == "room":
            group = "room"
        else:
            group = {"paint": "styles", "draw": "drawings"}.get(edit.kind, "looks")
        groups[group].append(score)
    return {name: found for name, found in groups.items() if found}


def by_edit(scores: Sequence[Score], pick: Pick) -> dict[str, float]:
    """Mean over the clips; where an edit finds nothing to do (nothing green to recolour) there is none."""
    names = dict.fromkeys(s.edit for s in scores)
    found = {
        name: [value for s in scores if s.edit == name and not math.isnan(value := pick(s))] for name in names
    }
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def bounded(what: str, values: Mapping[str, float], low: float, high: float, form: str, text: str) -> Row:
    """A row of edits that must all lie in low..high; names the worst."""
    away = {name: max(low - value, value - high) for name, value in values.items()}
    worst = max(away, key=lambda name: away[name])
    good = sum(value <= 0 for value in away.values())
    mean = float(np.mean(list(values.values())))
    measured = f"mean {mean:{form}}, worst {values[worst]:{form}} ({worst}), {good} of {len(away)}"
    return Row(what, text, measured, good == len(away))


def fidelity(scores: Sequence[Score]) -> list[Row]:
    """Pictures against the teachers'."""
    groups, rows = kinds(scores), []
    infinite = math.inf

    def psnr(s: Score) -> float:
        return s.psnr_db

    def energy(s: Score) -> float:
        return s.energy

    if found := groups.get("looks"):
        rows.append(
            bounded("colour looks: PSNR to teacher, dB", by_edit(found, psnr), 34, infinite, ".1f", "≥ 34")
        )
    if found := groups.get("drawings"):
        rows.append(bounded("drawings: PSNR, dB", by_edit(found, psnr), 22, infinite, ".1f", "≥ 22"))
        rows.append(
            bounded(
                "drawings: fine energy of teacher's", by_edit(found, energy), 0.8, 1.2, ".2f", "0.8 to 1.2"
            )
        )
    if found := groups.get("styles"):
        rows.append(
            bounded("styles: fine energy of teacher's", by_edit(found, energy), 0.7, 1.3, ".2f", "0.7 to 1.3")
        )
        grams = by_edit(found, lambda s: s.gram)
        rows.append(bounded("styles: Gram distance of source's", grams, -math.inf, 0.35, ".2f", "≤ 0.35"))
    if found := groups.get("weather"):
        rows.append(bounded("weather: PSNR, dB", by_edit(found, psnr), 30, infinite, ".1f", "≥ 30"))
    return rows


def is_still(score: Score) -> bool:
    """Of a clip from a stand; the bounds are held to moving clips."""
    return score.clip.endswith("_still")


def calm(scores: Sequence[Score], where: str = "") -> list[Row]:
    """Flicker against the teacher's, clip by clip: each counts alike, however much of it flickers."""
    rows = []
    for name, found in kinds(scores).items():
        ratios = by_edit(found, lambda s: s.flicker / max(1e-6, s.flicker_teacher))
        rows.append(
            bounded(
                f"flicker of {name}{where}, of the per-frame teacher's",
                ratios,
                -math.inf,
                0.6,
                ".2f",
                "≤ 0.6",
            )
        )
    return rows


def cache(scores: Sequence[Score]) -> list[Row]:
    """The ablation: with and without the rolling cache, on all clips."""
    rows = []
    for name, found in kinds(scores).items():
        gain = _gain(found)
        decibels = float(np.mean([s.psnr_db - s.psnr_alone_db for s in found]))
        met = gain >= CACHE_GAIN and decibels >= -CACHE_LOSS_DB
        rows.append(
            Row(
                f"cache, {name}",
                "flicker ≥ 20 % less, no dB lost",
                f"{gain:.0%} less, {decibels:+.2f} dB",
                met,
            )
        )
    return rows


def _gain(scores: Sequence[Score]) -> float:
    """Share of the flicker that the cache takes away."""
    seen = [s for s in scores if not math.isnan(s.flicker)]
    return 1 - sum(s.flicker for s in seen) / max(1e-6, sum(s.flicker_alone for s in seen))


def by_clip(scores: Sequence[Score], floors: Mapping[str, float]) -> str:
    """Markdown: flicker of the per-frame teacher's, and what of it the cache takes away, clip by clip.

    `floors`: flicker of the source without noise, of the noisy one's."""
    lines = [
        "| clip | edits | flicker, of teacher's | cache takes away | PSNR by the cache |",
        "|---|---|---|---|---|",
    ]
    for clip in dict.fromkeys(s.clip for s in scores):
        for name, found in kinds([s for s in scores if s.clip == clip]).items():
            seen = [s for s in found if not math.isnan(s.flicker)]
            own, teacher = (sum(getattr(s, field) for s in seen) for field in ("flicker", "flicker_teacher"))
            decibels = float(np.mean([s.psnr_db - s.psnr_alone_db for s in found]))
            ratio = own / max(1e-6, teacher)
            lines.append(f"| {clip} | {name} | {ratio:.2f} | {_gain(found):.0%} | {decibels:+.2f} dB |")
        if clip in floors:
            lines.append(f"| {clip} | *the source without noise* | {floors[clip]:.2f} | | |")
    return "\n".join(lines)


def alive(tracks: Mapping[str, Tracks]) -> list[Row]:
    """Drops and flakes."""
    return [
        Row(
            f"{name}: particles persist and move (tracked)",
            "≥ 80 %",
            f"{t.persist:.0%} of {t.particles:.0f}, {t.step_px:.1f} px a step; by chance {t.chance:.0%}",
            t.persist >= 0.8 and t.step_px >= 1,
        )
        for name, t in tracks.items()
    ]


def masks(found: Mapping[str, Sequence[float]]) -> list[Row]:
    """The person mask on every clip with somebody in it."""
    if not found:
        return [Row("person mask: IoU with its teacher", "≥ 0.93", "no clip shows a person", False)]
    means = {clip: float(np.mean(values)) for clip, values in found.items()}
    text = ", ".join(
        f"{clip} {mean:.3f} (worst frame {min(found[clip]):.3f})" for clip, mean in means.items()
    )
    return [Row("person mask: IoU with its teacher", "≥ 0.93", text, min(means.values()) >= 0.93)]


def still(drifts: Mapping[str, Drift]) -> list[Row]:
    """First against last frame of a still clip."""
    return [
        Row(
            f"drift, {edit}: still clip, {d.frames:,} frames, first against last, dB",
            "≥ 40",
            f"{d.still_db:.1f}; with noise, a tenth as many, {d.noisy_db:.1f}",
            d.still_db >= 40,
        )
        for edit, d in drifts.items()
    ]


def markdown(rows: Sequence[Row]) -> str:
    """A table."""
    lines = ["| what | at least | measured | |", "|---|---|---|---|"]
    lines += [f"| {r.what} | {r.bound} | {r.measured} | {'met' if r.met else '**not met**'} |" for r in rows]
    return "\n".join(lines)

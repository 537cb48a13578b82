"""The model against its teachers on held-out clips: what it does, as a server runs it, measured edit by edit.

Results are kept in OUT/scores.json and made again only where weights, teachers or clips changed.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gpu.nano import pixel_art
from gpu.nano.distill import clips, flow, sheets, texture
from gpu.nano.distill.clips import TICKS, Clip, to_frame, to_rgb
from gpu.nano.distill.scores import NOTHING, Score, energy_ratio, flickers, mean_psnr
from gpu.nano.distill.shelf import taught, taught_at, taught_on
from gpu.nano.distill.student import BEHIND, Student
from gpu.nano.distill.teaching import Teachers, digest
from gpu.nano.edits import EDIT_BY_NAME, EDIT_NAMES, WEATHER_PARTICLES, moves_sheet
from gpu.nano.particles import Particles
from gpu.nano.plan import LOCAL
from gpu.types import Frame

F32 = NDArray[np.float32]

MEASURES = "3"  # counts up when what is measured changes
SCORES, TILES, SHELF = "scores.json", "tiles", "shelf"
_CHANGED, _AROUND = 3.0, 9  # levels of 255, mean over so many pixels each way: there an edit does something
_PAINTED_FRAMES = 2  # of a clip, whose Gram distance is taken


@dataclass(slots=True)
class Bench:
    """Everything a run needs: the model, its teachers, the clips, and where results are kept."""

    student: Student
    teachers: Teachers
    clips: Sequence[Clip]
    out: Path
    scores: dict[str, Score] = field(default_factory=dict)  # "clip/edit"
    keys: dict[str, str] = field(default_factory=dict)

    def load(self) -> None:
        """What earlier runs measured."""
        try:
            stored = json.loads((self.out / SCORES).read_text())
            for name, entry in stored.items():
                self.scores[name], self.keys[name] = _score(entry["score"]), entry["key"]
        except (OSError, ValueError, KeyError, TypeError):
            self.scores, self.keys = {}, {}

    def save(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        partial = self.out / f"{SCORES}.tmp"
        entries = {
            name: {"key": self.keys[name], "score": _plain(asdict(s))} for name, s in self.scores.items()
        }
        partial.write_text(json.dumps(entries, indent=1, sort_keys=True))
        partial.replace(self.out / SCORES)

    def key(self, clip: Clip, edit: str) -> str:
        """What a result depends on."""
        parts = (
            MEASURES,
            self.student.digest(edit, clip.size),
            digest(edit),
            str(clip.size),
            str(len(clip.clean)),
        )
        return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no nan."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def load_scores(out: Path, clip_names: Sequence[str]) -> list[Score]:
    """What was measured in that folder on these clips, in the order of the edits."""
    stored = json.loads((out / SCORES).read_text()) if (out / SCORES).exists() else {}
    names = [f"{clip}/{edit}" for edit in EDIT_NAMES for clip in clip_names]
    return [_score(stored[name]["score"]) for name in names if name in stored]


def _score(values: dict[str, Any]) -> Score:
    full: dict[str, Any] = {k: NOTHING if v is None else v for k, v in values.items()}
    return Score(**full)


def measure(bench: Bench, edits: Iterable[str], again: bool = False) -> None:
    """Score every edit on every clip that is not scored yet; saved after each edit."""
    bench.load()
    work = [
        (clip, edit)
        for clip in bench.clips
        for edit in edits
        if again or bench.keys.get(f"{clip.name}/{edit}") != bench.key(clip, edit)
    ]
    motions: dict[str, list[flow.Motion]] = {}
    with tqdm(work, unit="edit", disable=not sys.stderr.isatty() and len(work) < 2) as bar:
        for clip, edit in bar:
            bar.set_postfix_str(f"{clip.name}: {edit}", refresh=False)
            if clip.name not in motions:
                clean = [to_frame(image, i).y for i, image in enumerate(clip.clean)]
                motions = {clip.name: flow.motions(clean)}  # of one clip at a time
            name = f"{clip.name}/{edit}"
            bench.scores[name] = score(bench, clip, edit, motions[clip.name])
            bench.keys[name] = bench.key(clip, edit)
            bench.save()


def fill_shelf(bench: Bench, edits: Iterable[str]) -> None:
    """Ask the teachers for everything `measure` will need of them; no weights are involved."""
    work = [(clip, edit) for edit in edits for clip in bench.clips]
    for clip, edit in tqdm(work, unit="edit", desc="teachers", mininterval=10):
        taught(bench.teachers, clip, edit, bench.out / SHELF)


def score(bench: Bench, clip: Clip, edit: str, moved: Sequence[flow.Motion]) -> Score:
    """Run one edit with and without the cache beside its teacher; leaves a tile for the contact sheet."""
    teacher = taught(bench.teachers, clip, edit, bench.out / SHELF)
    frames = [to_frame(image, i) for i, image in enumerate(clip.noisy)]
    clean = teacher.clean
    if moves_sheet(edit):  # the teacher of the same frames on the sheet as it lay under them
        made, drawn_on = bench.student.run_drawing(frames, edit)
        clean = [(i, taught_on(bench.teachers, clip, edit, i, drawn_on[i])) for i, _ in clean]
    elif edit == pixel_art.NAME:  # of the same frames, on the grid as it lay
        made, lattices = bench.student.run_pixel_art(frames)
        clean = [(i, taught_at(bench.teachers, clip, i, lattices[i])) for i, _ in clean]
    else:
        made = bench.student.run(frames, [bench.student.part(edit)])
    alone = bench.student.run(frames, [bench.student.part(edit)], use_cache=False)
    gram = gram_bank = NOTHING
    if EDIT_BY_NAME[edit].kind == "paint":
        chosen = teacher.clean[-_PAINTED_FRAMES:]
        pictures = [(to_rgb(made[i]), to_rgb(frame), clip.clean[i]) for i, frame in chosen]
        gram = float(np.mean([bench.teachers.gram_share(*three) for three in pictures]))
        gram_bank = float(np.mean([texture.share(*three) for three in pictures]))
    if edit in WEATHER_PARTICLES:
        moved = _between_drops(moved, clip.size, edit)
    if edit in (*BEHIND, *LOCAL):
        moved = _where_edited(moved, clip, teacher.clean)
    calm, calm_alone, calm_teacher = flickers((made, alone, teacher.noisy), moved)
    last, frame = clean[-1]
    _keep_tile(bench.out, clip.name, edit, to_rgb(frame), to_rgb(made[last]))
    return Score(
        clip.name,
        edit,
        mean_psnr(made, clean),
        mean_psnr(alone, teacher.clean),
        energy_ratio(made, clean),
        gram,
        gram_bank,
        calm,
        calm_alone,
        calm_teacher,
    )


def _between_drops(moved: Sequence[flow.Motion], size: tuple[int, int], edit: str) -> list[flow.Motion]:
    """Only where nothing falls, now or before: what falls is meant to move."""
    particles = Particles(*size, 0)
    covers = [particles.cover(i * TICKS, edit == "rain", edit == "snow") > 0 for i in range(len(moved) + 1)]
    free = []
    for before, now, m in zip(covers[:-1], covers[1:], moved, strict=True):
        came = cv2.remap(before.astype(np.uint8), m.x, m.y, cv2.INTER_NEAREST) > 0
        free.append(flow.Motion(m.x, m.y, m.seen & ~now & ~came))
    return free


def _where_edited(
    moved: Sequence[flow.Motion], clip: Clip, clean: Sequence[tuple[int, Frame]]
) -> list[flow.Motion]:
    """Only where the teacher changes the picture: elsewhere are the camera's own bytes, noise and all."""
    changed = {}
    for number, made in clean:
        source = to_frame(clip.clean[number], number)
        most = np.abs(made.y.astype(np.float32) - source.y)
        for mine, own in ((made.u, source.u), (made.v, source.v)):
            tint = np.abs(mine.astype(np.float32) - own)
            most = np.maximum(most, tint.repeat(2, 0).repeat(2, 1))
        there = (cv2.blur(most, (_AROUND, _AROUND)) > _CHANGED).astype(np.uint8)
        changed[number] = cv2.erode(there, np.ones((_AROUND, _AROUND), np.uint8)) > 0
    kept = []
    for number, m in enumerate(moved, 1):
        near = min(changed, key=lambda taught: abs(taught - number))
        kept.append(flow.Motion(m.x, m.y, m.seen & changed[near]))
    return kept


def _keep_tile(out: Path, clip: str, edit: str, teacher: F32, student: F32) -> None:
    folder = out / TILES
    folder.mkdir(parents=True, exist_ok=True)
    both = np.hstack([teacher, student]).clip(0, 1)
    small = cv2.resize(both, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    image = np.round(small * 255).astype(np.uint8)
    cv2.imwrite(str(folder / f"{clip}_{edit}.png"), image[..., ::-1])


def tile(out: Path, clip: str, edit: str) -> sheets.Pair | None:
    """Teacher and student of the last frame, at half size; None where the edit was not measured."""
    path = out / TILES / f"{clip}_{edit}.png"
    image = cv2.imread(str(path)) if path.exists() else None
    if image is None:
        return None
    rgb = np.asarray(image[..., ::-1] / 255, np.float32)
    half = rgb.shape[1] // 2
    return sheets.Pair(EDIT_BY_NAME[edit].label, rgb[:, :half], rgb[:, half:])


def write_sheets(out: Path, clip_names: Sequence[str], edits: Sequence[str] = EDIT_NAMES) -> list[Path]:
    """A contact sheet a group, OUT/sheet_<group>.png; the clips are taken in turn."""
    written = []
    for group in dict.fromkeys(EDIT_BY_NAME[edit].group for edit in edits):
        named = [edit for edit in edits if EDIT_BY_NAME[edit].group == group]
        pairs = [tile(out, clip_names[n % len(clip_names)], edit) for n, edit in enumerate(named)]
        if shown := [pair for pair in pairs if pair is not None]:
            written.append(out / f"sheet_{group}.png")
            sheets.write(written[-1], shown)
    return written


def floor(clip: Clip) -> float:
    """Flicker of the clean clip as a share of the noisy one's: what motion and errors of the flow leave."""
    clean, noisy = ([to_frame(image, i).y for i, image in enumerate(c)] for c in (clip.clean, clip.noisy))
    moved = flow.motions(clean)
    return flow.flicker(clean, moved) / flow.flicker(noisy, moved)


def chosen_edits(names: str | None) -> list[str]:
    """Of a comma-separated list; all for none. Raises SystemExit naming what there is no edit for."""
    edits = [name.strip() for name in names.split(",")] if names else list(EDIT_NAMES)
    for name in edits:
        if name not in EDIT_BY_NAME:
            raise SystemExit(f"there is no edit {name!r}: {', '.join(EDIT_NAMES)}")
    return edits


def open_bench(args: Any) -> Bench:
    """From the arguments clip, data, weights, out, frames, size, threads."""
    import torch

    from gpu.nano.distill.prepare import TEACHERS

    width, _, height = args.size.partition("x")
    size = (int(width), int(height))
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    held_out = [clips.read(path, args.frames, size) for path in args.clip]
    student = Student(args.weights, args.threads)
    return Bench(student, Teachers(args.data / TEACHERS, size), held_out, args.out)


def table(scores: Sequence[Score]) -> str:
    """Markdown, one line an edit, means over the clips."""
    lines = [
        "| edit | PSNR dB | energy | Gram | Gram, bank | flicker | without cache | teacher | of teacher's |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for edit in dict.fromkeys(s.edit for s in scores):
        own = [s for s in scores if s.edit == edit]
        psnr, energy, gram, bank, with_, without, teacher = (
            _mean([getattr(s, name) for s in own])
            for name in (
                "psnr_db",
                "energy",
                "gram",
                "gram_bank",
                "flicker",
                "flicker_alone",
                "flicker_teacher",
            )
        )
        ratio = _mean([s.flicker / max(1e-6, s.flicker_teacher) for s in own])
        grams = " | ".join("" if math.isnan(g) else f"{g:.2f}" for g in (gram, bank))
        lines.append(
            f"| {edit} | {psnr:.1f} | {energy:.2f} | {grams} | {with_:.3f} | {without:.3f} "
            f"| {teacher:.3f} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; nan where none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else NOTHING


def run(args: Any, say: Callable[[str], None] = print) -> int:
    """`relens distill evaluate`."""
    edits = chosen_edits(args.edits)
    bench = open_bench(args)
    try:
        measure(bench, edits)
    finally:
        bench.student.close()
    names = [clip.name for clip in bench.clips]
    measured = [bench.scores[f"{clip}/{edit}"] for edit in edits for clip in names]
    say(table(measured))
    for path in write_sheets(args.out, names, edits):
        say(f"{path}")
    (args.out / "report.json").write_text(json.dumps({"card": {"EDITS": table(measured)}}, indent=1))
    return 0

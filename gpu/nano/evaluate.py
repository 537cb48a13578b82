"""`python -m gpu.nano.evaluate CLIP`: the shipped weights against the teachers on a clip never trained on.

Runs the model as a server does (engine, cache, bytes) and prints a table; `--card` writes it into the card,
`--sheet` the contact sheet. Needs the `distill` extra for the teachers, not for the model.

Flicker is the mean change between frames of the edited minus that of the teacher's picture, per unit of fine
energy of the picture: blur does not pass for calm.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.models.nano import NanoModel, NanoState
from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.edits import EDIT_NAMES
from gpu.nano.particles import Particles
from gpu.nano.teachers import Place, apply, place_of
from gpu.nano.transition import Conditioning
from gpu.types import Frame

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
CARD = Path(__file__).parent / "MODEL_CARD.md"
MARK = "<!-- table: written by gpu.nano.evaluate -->"
WIDTH, HEIGHT = 640, 480
NOISE = 2.0  # of 255, sensor noise added to the clip: a file's pictures are cleaner than a camera's
TICKS = 3000


@dataclass(frozen=True, slots=True)
class Score:
    """One edit on one clip."""

    name: str
    psnr_db: float  # to the teacher of the clean frame, luma and chroma planes
    energy: float  # fine energy of luma, network / teacher
    flicker: float  # per unit of fine energy, with the cache
    flicker_alone: float  # the same network without it
    flicker_teacher: float  # the teacher run frame by frame on the same noisy frames


def one(name: str) -> F32:
    """Full amount of one edit."""
    amounts = np.zeros(len(EDIT_NAMES), np.float32)
    amounts[EDIT_NAMES.index(name)] = 1
    return amounts


def to_frame(image: F32, pts: int) -> Frame:
    """RGB 0..1 [H, W, 3] -> Frame."""
    luma, chroma = rgb_to_planes(image)
    y = np.round(luma * 255).clip(0, 255).astype(np.uint8)
    u, v = np.round(chroma * 255).clip(0, 255).astype(np.uint8)
    return Frame(y, u, v, pts)


def to_rgb(frame: Frame) -> F32:
    """Frame -> RGB 0..1."""
    return planes_to_rgb(
        np.asarray(frame.y / 255, np.float32), np.asarray(np.stack([frame.u, frame.v]) / 255, np.float32)
    )


def read_clip(path: Path, frames: int) -> list[F32]:
    """The first frames as RGB 0..1 at 640x480."""
    capture = cv2.VideoCapture(str(path))
    clip: list[F32] = []
    while len(clip) < frames:
        ok, frame = capture.read()
        if not ok:
            break
        frame = cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        clip.append(np.asarray(frame[..., ::-1] / 255, np.float32))
    capture.release()
    if len(clip) < 2:
        raise SystemExit(f"{path} has no two frames that can be read: give a video file")
    return clip


def run(model: NanoModel, frames: Sequence[Frame], amounts: F32, use_cache: bool = True) -> list[Frame]:
    """The model on a clip; without the cache it is declared stale before every frame."""
    state = model.open_state(frames[0].width, frames[0].height)
    assert isinstance(state, NanoState)
    state.transition.begin(Conditioning(amounts, 1.0), 0)
    out: list[Frame] = []
    for frame in frames:
        if not use_cache:
            state.cache_valid = False
        out.extend(model.step(state, [frame]))
    return out


def teach(image: F32, amounts: F32, place: Place, pts: int) -> F32:
    """The teacher's picture, particles laid over as the step does."""
    edited = apply(image, amounts, place)
    rain, snow = amounts[EDIT_NAMES.index("rain")], amounts[EDIT_NAMES.index("snow")]
    if rain > 0 or snow > 0:
        cover = Particles(image.shape[1], image.shape[0], 0).cover(pts, rain > 0, snow > 0) / np.float32(255)
        cover = (cover * min(1.0, 0.55 * rain + 0.95 * snow))[..., None]
        grey = ((0.72 + 0.16 * snow) * 255 - 16) / 219
        edited = edited + cover * (np.float32(grey) - edited)
    return np.asarray(edited, np.float32)


def psnr(a: Frame, b: Frame) -> float:
    """Over all three planes, dB."""
    planes = ((a.y, b.y), (a.u, b.u), (a.v, b.v))
    error = sum(float(((p.astype(np.float64) - q) ** 2).sum()) for p, q in planes)
    count = sum(p.size for p, _ in planes)
    return float(10 * np.log10(255**2 / max(error / count, 1e-9)))


def fine_energy(y: U8) -> float:
    """Root mean square of what a 5x5 mean takes away."""
    plane = y.astype(np.float32)
    return float(np.sqrt(((plane - cv2.blur(plane, (5, 5))) ** 2).mean()))


def flicker(frames: Sequence[Frame], clean: Sequence[Frame]) -> float:
    """Change that the clean teacher's clip does not have, per unit of fine energy."""
    changes = [
        np.abs((b.y.astype(np.float32) - a.y) - (d.y.astype(np.float32) - c.y)).mean()
        for a, b, c, d in zip(frames, frames[1:], clean, clean[1:], strict=False)
    ]
    return float(np.mean(changes)) / max(0.5, float(np.mean([fine_energy(f.y) for f in frames])))


def score(model: NanoModel, clip: Sequence[F32], name: str) -> Score:
    """Run one edit with and without the cache against its teacher."""
    rng = np.random.default_rng(5)
    place, amounts = place_of(WIDTH, HEIGHT), one(name)
    noisy = [
        np.asarray((image + rng.normal(size=image.shape) * NOISE / 255).clip(0, 1), np.float32)
        for image in clip
    ]
    frames = [to_frame(image, i * TICKS) for i, image in enumerate(noisy)]
    target = [to_frame(teach(image, amounts, place, i * TICKS), i * TICKS) for i, image in enumerate(clip)]
    on_noisy = [to_frame(teach(image, amounts, place, i * TICKS), i * TICKS) for i, image in enumerate(noisy)]
    cached, alone = run(model, frames, amounts), run(model, frames, amounts, use_cache=False)
    return Score(
        name,
        float(np.mean([psnr(a, b) for a, b in zip(cached, target, strict=True)])),
        float(np.mean([fine_energy(a.y) / fine_energy(b.y) for a, b in zip(cached, target, strict=True)])),
        flicker(cached, target),
        flicker(alone, target),
        flicker(on_noisy, target),
    )


def table(scores: Sequence[Score]) -> str:
    """Markdown."""
    lines = [
        "| edit | PSNR to teacher, dB | fine energy, of teacher's | flicker | without cache | teacher |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.name} | {s.psnr_db:.1f} | {s.energy:.2f} | {s.flicker:.3f} | {s.flicker_alone:.3f} "
        f"| {s.flicker_teacher:.3f} |"
        for s in scores
    ]
    mean = [
        float(np.mean([getattr(s, f) for s in scores])) for f in Score.__dataclass_fields__ if f != "name"
    ]
    return "\n".join([*lines, "| **mean** | {:.1f} | {:.2f} | {:.3f} | {:.3f} | {:.3f} |".format(*mean)])


def sheet(model: NanoModel, image: F32) -> U8:
    """Every edit by its name: the teacher left, the network right."""
    tiles: list[U8] = []
    frames = [to_frame(image, i * TICKS) for i in range(2)]
    place = place_of(WIDTH, HEIGHT)
    for name in EDIT_NAMES:
        target = teach(image, one(name), place, TICKS)
        pair = np.hstack([target, to_rgb(run(model, frames, one(name))[-1])])
        small = cv2.resize(pair.clip(0, 1), (288, 108), interpolation=cv2.INTER_AREA)
        tile = np.ascontiguousarray((small * 255).astype(np.uint8)) & np.uint8(0xF0)  # for a small file
        cv2.putText(tile, name, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 80, 80), 1)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 3)
    return np.vstack([np.hstack(tiles[i : i + 3]) for i in range(0, len(tiles), 3)])


def main() -> None:
    parser = argparse.ArgumentParser(description="measure nano against its teachers")
    parser.add_argument("clip", type=Path, help="a video never trained on")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--card", action="store_true", help="write the table into MODEL_CARD.md")
    parser.add_argument("--sheet", type=Path, help="write the contact sheet (PNG)")
    arguments = parser.parse_args()
    clip = read_clip(arguments.clip, arguments.frames)
    model = NanoModel.load(threads=2)
    if arguments.sheet:
        cv2.imwrite(str(arguments.sheet), sheet(model, clip[0])[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    scores = []
    for name in EDIT_NAMES:
        scores.append(score(model, clip, name))
        print(f"{name:18s} {scores[-1].psnr_db:6.1f} dB  energy {scores[-1].energy:.2f}", flush=True)
    text = table(scores)
    print(text)
    if arguments.card:
        head, _, rest = CARD.read_text().partition(MARK)
        _, _, tail = rest.partition(MARK)
        CARD.write_text(f"{head}{MARK}\n{text}\n{MARK}{tail}")
    model.close()


if __name__ == "__main__":
    main()

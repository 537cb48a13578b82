"""Pictures and training samples for `nano`: photographs in a folder become crops and what the teacher makes.

Knows the teachers; knows nothing of networks. Needs OpenCV (`distill` extra). Deterministic for a seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.colour import rgb_to_planes
from gpu.nano.edits import EDIT_BY_NAME, EDIT_NAMES
from gpu.nano.geometry import texture_weight, textures
from gpu.nano.teachers import Place, apply

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

POOL_PIXELS = 450_000  # photographs are kept at about this many pixels
HELD_OUT_EVERY = 14  # every n-th picture of the pool is kept from training, for contact sheets
_DRAWING = [i for i, name in enumerate(EDIT_NAMES) if EDIT_BY_NAME[name].group == "drawing"]
_OTHER = [i for i in range(len(EDIT_NAMES)) if i not in _DRAWING]
_SKIP = ("carphone", "cartoon", "symbols", "logo")  # the held-out clip, and what is no photograph


@dataclass(frozen=True, slots=True)
class Sample:
    """Source and target canvases of T frames: luma [T,1,2h,2w], chroma [T,2,h,w]; the fixed inputs."""

    luma: F32
    chroma: F32
    target_luma: F32
    target_chroma: F32
    cond: F32
    texture: F32
    coords: F32


def read_picture(path: Path) -> U8 | None:
    """RGB [H, W, 3] at about POOL_PIXELS, alpha laid over grey; None for what is no picture or too small."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < 200:
        return None
    if image.shape[2] == 4:
        return None
    scale = min(1.0, (POOL_PIXELS / (image.shape[0] * image.shape[1])) ** 0.5)
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def read_stamp(path: Path) -> U8 | None:
    """RGBA cut-out, None for what has no alpha or is small."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4 or min(image.shape[:2]) < 120:
        return None
    return np.ascontiguousarray(image[..., [2, 1, 0, 3]])


def read_clip(path: Path, every: int, most: int) -> list[U8]:
    """Every n-th frame of a video as RGB."""
    capture = cv2.VideoCapture(str(path))
    frames: list[U8] = []
    number = 0
    while len(frames) < most:
        ok, frame = capture.read()
        if not ok:
            break
        if number % every == 0 and min(frame.shape[:2]) >= 200:
            scale = min(1.0, (POOL_PIXELS / (frame.shape[0] * frame.shape[1])) ** 0.5)
            frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            frames.append(np.ascontiguousarray(frame[..., ::-1]).astype(np.uint8))
        number += 1
    capture.release()
    return frames


def build_pool(folders: Sequence[Path], seed: int) -> list[U8]:
    """All photographs under the folders, frames of the clips, and photographs with cut-outs laid on them."""
    files = sorted(p for folder in folders for p in folder.rglob("*") if p.is_file())
    files = [p for p in files if not any(word in str(p).lower() for word in _SKIP)]
    images = [
        p
        for p in files
        if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"} and p.stat().st_size > 40_000
    ]
    pool: list[U8] = []
    stamps: list[U8] = []
    for path in images:
        if "stamps" in str(path):
            stamp = read_stamp(path)
            if stamp is not None:
                stamps.append(stamp)
        elif "/html/" not in str(path):
            picture = read_picture(path)
            # screenshots and drawings have few colours
            if picture is not None and len(np.unique(picture[::4, ::4].reshape(-1, 3) // 8, axis=0)) > 250:
                pool.append(picture)
    photographs = len(pool)
    for path in files:
        if path.suffix.lower() in {".mp4", ".avi"}:
            pool.extend(read_clip(path, every=12, most=20))
    rng = np.random.default_rng(seed)
    grounds = [i for i in range(photographs) if i % HELD_OUT_EVERY]  # no held-out picture under a cut-out
    for stamp in stamps:
        ground = pool[int(rng.choice(grounds))].copy()
        height = min(ground.shape[0], int(ground.shape[0] * rng.uniform(0.5, 0.95)))
        scale = min(height / stamp.shape[0], ground.shape[1] / stamp.shape[1])
        small = cv2.resize(stamp, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        h, w = min(small.shape[0], ground.shape[0]), min(small.shape[1], ground.shape[1])
        top, left = int(rng.integers(ground.shape[0] - h + 1)), int(rng.integers(ground.shape[1] - w + 1))
        alpha = small[:h, :w, 3:].astype(np.float32) / 255
        area = ground[top : top + h, left : left + w]
        area[:] = (area * (1 - alpha) + small[:h, :w, :3] * alpha).astype(np.uint8)
        pool.append(ground)
    return pool


def draw_amounts(rng: np.random.Generator) -> F32:
    """A vector of amounts: mostly one edit in full, often in part, pairs, sometimes none. Drawings come more
    often: they are harder."""
    amounts = np.zeros(len(EDIT_NAMES), np.float32)
    kind = rng.random()
    if kind < 0.03:
        return amounts
    count = 1 if kind < 0.80 else 2 if kind < 0.97 else 3
    first = _DRAWING if rng.random() < 0.72 else _OTHER
    picks = [int(rng.choice(first))]
    while len(picks) < count:
        pick = int(rng.choice(_OTHER))
        if pick not in picks:
            picks.append(pick)
    for pick in picks:
        amounts[pick] = 1.0 if rng.random() < 0.7 else rng.uniform(0.2, 1.0)
    return amounts


def _grid(size: int, rng: np.random.Generator) -> tuple[F32, F32]:
    """(radius, height) fields [size, size] of a crop at a random place of a larger picture."""
    x0, y0 = rng.uniform(0, 0.7), rng.uniform(0, 0.6)
    x = (x0 + np.linspace(0, 0.3, size, dtype=np.float32))[None, :].repeat(size, 0)
    y = (y0 + np.linspace(0, 0.4, size, dtype=np.float32))[:, None].repeat(size, 1)
    return (((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2).astype(np.float32), y.astype(np.float32)


def draw_clip(pool: Sequence[U8], rng: np.random.Generator, size: int, frames: int) -> list[F32]:
    """`frames` crops [size, size, 3] of one photograph under a slow camera motion (or none)."""
    image = pool[int(rng.integers(len(pool)))]
    side = min(size * rng.uniform(0.8, 2.2), min(image.shape[:2]) - 2)
    cx = rng.uniform(side / 2, image.shape[1] - side / 2)
    cy = rng.uniform(side / 2, image.shape[0] - side / 2)
    angle, flip = rng.uniform(-0.15, 0.15), rng.random() < 0.5
    still = rng.random() < 0.4
    pan = np.zeros(2) if still else rng.normal(size=2) * rng.choice([0.4, 1.5, 4.0])
    zoom = 1.0 if still else 1 + rng.normal() * 0.004
    gain, gamma = rng.uniform(0.75, 1.15), rng.uniform(0.8, 1.3)
    clip: list[F32] = []
    if side > 1.5 * size:  # enough of a mip level that bilinear sampling does not alias
        shrink = size / side * 1.2
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        side, cx, cy = side * shrink, cx * shrink, cy * shrink
    for t in range(frames):
        scale = side / size * zoom**t
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        sx = -1 if flip else 1
        matrix = np.array([[cos * sx, -sin, 0], [sin * sx, cos, 0]], np.float64)
        centre = matrix[:, :2] @ np.array([size / 2, size / 2])
        matrix[:, 2] = np.array([cx, cy]) + pan * t - centre
        crop = cv2.warpAffine(
            image,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        clip.append(np.clip(crop.astype(np.float32) / 255 * gain, 0, 1) ** np.float32(gamma))
    return clip


def draw_sample(pool: Sequence[U8], rng: np.random.Generator, size: int, frames: int = 1) -> Sample:
    """One training sample; `size` is the canvas' side in luma pixels."""
    clip = draw_clip(pool, rng, size, frames)
    amounts = draw_amounts(rng)
    radius, height = _grid(size, rng)
    hatch, paper = textures(size // 2, size // 2, int(rng.integers(512)), int(rng.integers(512)))
    place = Place(radius, height, hatch, paper)
    noise = 0.0 if rng.random() < 0.4 else rng.uniform(0.002, 0.015)
    if frames > 1:
        noise = rng.uniform(0.002, 0.02)
    planes = [rgb_to_planes(image) for image in clip]
    still = all(image is clip[0] or np.array_equal(image, clip[0]) for image in clip)
    targets = [apply(clip[0], amounts, place)]
    targets += [targets[0] if still else apply(image, amounts, place) for image in clip[1:]]
    target_planes = [rgb_to_planes(image) for image in targets]
    luma = np.stack([p[0][None] for p in planes])
    chroma = np.stack([p[1] for p in planes])
    luma = luma + rng.normal(size=luma.shape).astype(np.float32) * np.float32(noise)
    chroma = chroma + rng.normal(size=chroma.shape).astype(np.float32) * np.float32(noise * 0.5)
    return Sample(
        _eight_bit(luma),
        _eight_bit(chroma),
        np.stack([p[0][None] for p in target_planes]),
        np.stack([p[1] for p in target_planes]),
        amounts,
        (hatch + texture_weight(amounts) * (paper - hatch))[None],
        np.stack(
            [cv2.resize(f, (size // 4, size // 4), interpolation=cv2.INTER_AREA) for f in (radius, height)]
        ),
    )


def _eight_bit(plane: F32) -> F32:
    return np.asarray(np.round(plane.clip(0, 1) * 255) / 255, np.float32)


def batches(pool: Sequence[U8], seed: int, batch: int, size: int, frames: int = 1) -> Iterator[Sample]:
    """Endless stacked samples: every field gains a leading batch axis."""
    rng = np.random.default_rng(seed)
    while True:
        samples = [draw_sample(pool, rng, size, frames) for _ in range(batch)]
        yield Sample(*(np.stack([getattr(s, f) for s in samples]) for f in Sample.__dataclass_fields__))

"""Photographs to learn from: a pool out of folders, and random crops that move like a camera's pictures.

Knows nothing of teachers or networks. Deterministic for a seed. Pictures of the pool are RGB uint8 [H, W, 3].
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

SEED = 20_261
POOL_PIXELS = 450_000  # photographs are kept at about this many pixels
HELD_OUT_EVERY = 14  # every n-th picture of the pool is kept from training, for contact sheets
MIN_SIDE = 200
MIN_FILE_BYTES = 40_000  # smaller files of packages are icons and screenshots
CLIP_EVERY, CLIP_MOST = 12, 20
PHOTOGRAPHS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
CLIPS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm"})
# the held-out clip, films whose rights are not the package's, and what is no photograph
_SKIP = ("carphone", "megamind", "cartoon", "symbols", "logo", "screenshot", "/html/")
_COLOURS = 250  # screenshots and drawings have fewer


def _shrink(image: U8) -> U8:
    scale = min(1.0, (POOL_PIXELS / (image.shape[0] * image.shape[1])) ** 0.5)
    if scale < 1:
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    return image


def read_picture(path: Path) -> U8 | None:
    """A photograph at about POOL_PIXELS; None for what is none: too small, cut out, or of few colours."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < MIN_SIDE:
        return None
    if image.shape[2] != 3 or len(np.unique(image[::4, ::4].reshape(-1, 3) // 8, axis=0)) <= _COLOURS:
        return None
    return np.ascontiguousarray(_shrink(image)[..., ::-1])


def read_stamp(path: Path) -> U8 | None:
    """RGBA cut-out; None for what has no alpha or is small."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4 or min(image.shape[:2]) < 120:
        return None
    return np.ascontiguousarray(image[..., [2, 1, 0, 3]])


def read_clip(path: Path, every: int = CLIP_EVERY, most: int = CLIP_MOST) -> list[U8]:
    """Every n-th frame of a video; empty when it cannot be read."""
    capture = cv2.VideoCapture(str(path))
    frames: list[U8] = []
    number = 0
    try:
        while len(frames) < most:
            ok, frame = capture.read()
            if not ok:
                break
            if number % every == 0 and min(frame.shape[:2]) >= MIN_SIDE:
                frames.append(np.ascontiguousarray(_shrink(np.asarray(frame, np.uint8))[..., ::-1]))
            number += 1
    finally:
        capture.release()
    return frames


def lay(ground: U8, stamp: U8, rng: np.random.Generator) -> U8:
    """A copy of `ground` with the cut-out laid on it at a random place, half to all of its height."""
    ground = ground.copy()
    height = min(ground.shape[0], int(ground.shape[0] * rng.uniform(0.5, 0.95)))
    scale = min(height / stamp.shape[0], ground.shape[1] / stamp.shape[1])
    small = cv2.resize(stamp, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = min(small.shape[0], ground.shape[0]), min(small.shape[1], ground.shape[1])
    top, left = int(rng.integers(ground.shape[0] - h + 1)), int(rng.integers(ground.shape[1] - w + 1))
    alpha = small[:h, :w, 3:].astype(np.float32) / 255
    area = ground[top : top + h, left : left + w]
    area[:] = (area * (1 - alpha) + small[:h, :w, :3] * alpha).astype(np.uint8)
    return ground


def files_of(folders: Sequence[Path]) -> list[Path]:
    """Every file that may be learned from, sorted."""
    files = sorted(
        (p, folder) for folder in folders for p in folder.rglob("*") if p.is_file() and not p.is_symlink()
    )
    # what the folders themselves are called says nothing of what is in them
    return [
        p for p, folder in files if not any(word in f"/{p.relative_to(folder)}".lower() for word in _SKIP)
    ]


def build_pool(folders: Sequence[Path], seed: int = SEED) -> list[U8]:
    """All photographs under the folders, frames of the clips, and photographs with cut-outs laid on them."""
    files = files_of(folders)
    pool: list[U8] = []
    stamps: list[U8] = []
    for path in files:
        if path.suffix.lower() not in PHOTOGRAPHS or path.stat().st_size <= MIN_FILE_BYTES:
            continue
        if "stamps" in str(path):
            stamp = read_stamp(path)
            if stamp is not None:
                stamps.append(stamp)
            continue
        picture = read_picture(path)
        if picture is not None:
            pool.append(picture)
    photographs = len(pool)
    for path in files:
        if path.suffix.lower() in CLIPS:
            pool.extend(read_clip(path))
    rng = np.random.default_rng(seed)
    grounds = [i for i in range(photographs) if i % HELD_OUT_EVERY]  # no held-out picture under a cut-out
    if grounds:
        pool.extend(lay(pool[int(rng.choice(grounds))], stamp, rng) for stamp in stamps)
    return pool


def save_pool(pool: Sequence[U8], path: Path) -> None:
    """One .npz; atomic."""
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, *pool)
    partial.replace(path)


def load_pool(path: Path) -> list[U8]:
    """The pictures of `save_pool`. Raises SystemExit naming the remedy when there are none."""
    try:
        with np.load(path) as stored:
            pool = [stored[name] for name in stored.files]
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise SystemExit(f"{path} is no pool of pictures ({exc}): run `relens distill prepare`") from exc
    if len(pool) < 2:
        raise SystemExit(f"{path} holds {len(pool)} pictures: give `relens distill prepare` more folders")
    return pool


def to_train(pool: Sequence[U8]) -> list[U8]:
    return [image for i, image in enumerate(pool) if i % HELD_OUT_EVERY] or list(pool)


def held_out(pool: Sequence[U8]) -> list[U8]:
    return [image for i, image in enumerate(pool) if i % HELD_OUT_EVERY == 0]


def draw_clip(
    pool: Sequence[U8],
    rng: np.random.Generator,
    size: int,
    frames: int = 1,
    scale: tuple[float, float] = (0.8, 2.2),
    still: float = 0.4,
) -> list[F32]:
    """`frames` crops RGB float32 [size, size, 3] in 0..1 of one photograph under a slow camera motion.

    `scale`: pixels of the photograph per pixel of the crop; `still`: share of clips that do not move. Every
    still clip's frames are the same array."""
    image = pool[int(rng.integers(len(pool)))]
    side = min(size * rng.uniform(*scale), min(image.shape[:2]) - 2)
    cx = rng.uniform(side / 2, image.shape[1] - side / 2)
    cy = rng.uniform(side / 2, image.shape[0] - side / 2)
    angle, flip = rng.uniform(-0.15, 0.15), rng.random() < 0.5
    stands = rng.random() < still
    pan = np.zeros(2) if stands else rng.normal(size=2) * rng.choice([0.4, 1.5, 4.0])
    zoom = 1.0 if stands else 1 + rng.normal() * 0.004
    gain, gamma = rng.uniform(0.75, 1.15), rng.uniform(0.8, 1.3)
    if side > 1.5 * size:  # enough of a mip level that bilinear sampling does not alias
        shrink = size / side * 1.2
        left, top = max(0, int(cx - side)), max(0, int(cy - side))  # no more of it than motion can reach
        image = image[top : int(cy + side) + 2, left : int(cx + side) + 2]
        cx, cy = cx - left, cy - top
        image = np.asarray(
            cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
        side, cx, cy = side * shrink, cx * shrink, cy * shrink
    clip: list[F32] = []
    for t in range(1 if stands else frames):
        step = side / size * zoom**t
        cos, sin = np.cos(angle) * step, np.sin(angle) * step
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
        clip.append(np.asarray(np.clip(crop.astype(np.float32) / 255 * gain, 0, 1) ** gamma, np.float32))
    return clip * frames if stands else clip


def add_noise(plane: F32, rng: np.random.Generator, levels: float) -> F32:
    """Sensor noise of `levels` of 255 and rounding to bytes, of a plane in 0..1."""
    noisy = plane + rng.standard_normal(plane.shape, np.float32) * np.float32(levels / 255)
    return np.asarray(np.round(noisy.clip(0, 1) * 255) / 255, np.float32)

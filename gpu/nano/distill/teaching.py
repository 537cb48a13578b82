"""What the teachers make of a picture, one edit at full amount: the measure the model is held to.

Knows every teacher; knows nothing of the model. Pictures are RGB float32 [H, W, 3] in 0..1.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.distill.blur import Blur
from gpu.nano.distill.gram import Look, gram_distance, look
from gpu.nano.distill.paint_network import enlarging_kernel, fold
from gpu.nano.distill.paint_tone import TONES
from gpu.nano.distill.teachers import drawings, looks
from gpu.nano.distill.teachers.pastiche import BLENDS, Pastiche, blend
from gpu.nano.distill.teachers.person import Selfie, load, segment
from gpu.nano.distill.teachers.place import Place, place_of
from gpu.nano.edits import EDIT_BY_NAME, WEATHER_PARTICLES
from gpu.nano.geometry import textures_for
from gpu.nano.grid import SIDE, Lattice
from gpu.nano.particles import Particles

F32 = NDArray[np.float32]

PAINTER, PERSON = "multistyle26.onnx", "selfie_segmentation.tflite"
VERSION = 1  # of what this file and the clips make of the teachers' pictures
BEHIND = ("blur", "backdrop")  # edits meant for what is behind the person
_HERE = Path(__file__).parent


class Teachers:
    """All teachers for pictures of one size. The networks are read when they are first needed."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        """`folder` holds multistyle26.onnx and selfie_segmentation.tflite; `size` is (width, height)."""
        self.folder, self.size = folder, size
        self._place: Place = place_of(*size)
        self._particles = Particles(*size, 0)
        self._blur = Blur().eval()

    @cached_property
    def painter(self) -> Pastiche:
        return Pastiche(self._file(PAINTER)).eval()

    @cached_property
    def selfie(self) -> Selfie:
        return load(self._file(PERSON))

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise SystemExit(f"the teacher {path} is missing: run `relens distill prepare --download DIR`")
        return path

    def mask(self, image: F32) -> F32:
        """[H, W] 0..1, 1 where the person is."""
        with torch.no_grad():
            return np.asarray(segment(self.selfie, image), np.float32)

    def picture(self, name: str, image: F32, pts: int, texture: F32 | None = None) -> F32:
        """The edit `name` at full amount, where it is meant to be, at a time in ticks of 90 kHz; a drawing on
        `texture` [2, H, W], or on its sheet as it lies when nothing moves it."""
        kind = EDIT_BY_NAME[name].kind
        if kind == "paint":
            return self._painted(name, image)
        if kind == "draw":
            if texture is None:
                width, height = self.size
                texture = textures_for(name, width // 2, height // 2)
            return drawings.draw(name, image, texture)
        if kind == "blur":
            return self._blurred(image)
        made = looks.look(name, image, self._place)
        if name in BEHIND:
            behind = 1 - self.mask(image)[..., None]
            made = image + behind * (made - image)
        if name in WEATHER_PARTICLES:
            cover = self._particles.cover(pts, name == "rain", name == "snow")
            made = fallen(made, cover, name)
        return np.asarray(made, np.float32)

    def pixel_art(self, image: F32, lattice: Lattice) -> F32:
        """Pixel art of a picture, its art pixels where the lattice has them, not on the screen's grid."""
        small = np.stack([lattice.means(plane) for plane in np.moveaxis(image, -1, 0)], -1)
        rows, columns = small.shape[:2]
        left, top = SIDE * lattice.columns.first, SIDE * lattice.rows.first
        texture = textures_for("pixel_art", columns * SIDE // 2, rows * SIDE // 2, left, top)
        made = drawings.draw("pixel_art", small.repeat(SIDE, 0).repeat(SIDE, 1), texture)[::SIDE, ::SIDE]
        return np.stack([lattice.crisp.spread(plane) for plane in np.moveaxis(made, -1, 0)], -1)

    def _painted(self, name: str, image: F32) -> F32:
        """The painter works at half the canvas' size each way; what it makes is toned and enlarged."""
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        source = torch.from_numpy(np.ascontiguousarray(half.transpose(2, 0, 1)))[None]
        tone = {key: torch.from_numpy(value) for key, value in TONES[name].tensors().items()}
        with torch.no_grad():
            painted = fold(self.painter(source, torch.from_numpy(blend(name))[None]))
            toned = painted * tone["tone_gain"] + tone["tone_offset"]
            toned = F.pad(toned + tone["carry"] * (fold(source) - toned), (1, 1, 1, 1), "replicate")
            kernel, kernel_chroma = enlarging_kernel()
            luma = F.pixel_shuffle(F.conv2d(toned[:, :4], kernel), 4)
            chroma = F.pixel_shuffle(F.conv2d(toned[:, 4:], kernel_chroma), 2)
        return planes_to_rgb(luma[0, 0].clamp(0, 1).numpy(), chroma[0].clamp(0, 1).numpy())

    def _blurred(self, image: F32) -> F32:
        luma, chroma = rgb_to_planes(image)
        behind = torch.from_numpy(1 - self.mask(image))[None, None]
        with torch.no_grad():
            whole = torch.from_numpy(luma)[None, None], torch.from_numpy(chroma)[None]
            new, new_chroma = self._blur(*whole, behind, torch.ones(1, 1, 1, 1))
        return planes_to_rgb(new[0, 0].clamp(0, 1).numpy(), new_chroma[0].clamp(0, 1).numpy())

    def gram_share(self, student: F32, teacher: F32, source: F32) -> float:
        """Gram distance to the teacher's picture as a share of the source's, in the painter's own features
        and at the size it paints at."""

        def seen(image: F32, reference: Look | None = None) -> Look:
            half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            batch = torch.from_numpy(np.ascontiguousarray(half.transpose(2, 0, 1)))[None]
            return look(self.painter, batch, reference)

        with torch.no_grad():
            target = seen(teacher)
            near, far = (float(gram_distance(seen(image, target), target)) for image in (student, source))
        return near / max(1e-9, far)


def fallen(image: F32, cover: NDArray[np.uint8], name: str) -> F32:
    """Drops or flakes laid over a picture as the model's last graph does."""
    opacity, white = (0.55, 0.72) if name == "rain" else (0.95, 0.88)
    share = (cover * np.float32(opacity / 255))[..., None]
    grey = np.float32((white * 255 - 16) / 219)
    return np.asarray(image + share * (grey - image), np.float32)


def digest(name: str) -> str:
    """Changes whenever what is behind the edit's teacher does."""
    kind = EDIT_BY_NAME[name].kind
    parts: list[bytes] = [str(VERSION).encode()]
    if kind == "paint":
        parts += [repr((TONES[name], sorted(BLENDS[name].items()))).encode()]
        parts += [kernel.numpy().tobytes() for kernel in enlarging_kernel()]
    else:
        files = {
            "look": ["teachers/looks.py", "teachers/tone.py", "teachers/local_colour.py"],
            "draw": ["teachers/drawings.py", "teachers/tone.py"],
            "blur": ["blur.py"],
        }[kind]
        parts += [(_HERE / file).read_bytes() for file in files]
    if name in WEATHER_PARTICLES:
        parts.append((_HERE.parent / "particles.py").read_bytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

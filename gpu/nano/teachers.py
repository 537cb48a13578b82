"""The teachers: one program per edit, exact and deterministic. Pictures are RGB float32 [H, W, 3] in 0..1.

Needs OpenCV (`distill` extra). Sizes in pixels are meant for a 640x480 picture, the canvas `nano` works on.
Rain and snow here are only the light of such weather: drops and flakes are particles, laid over by the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import EDIT_BY_NAME, EDIT_NAMES
from gpu.nano.geometry import coordinates, textures

Image = NDArray[np.float32]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Place:
    """Fields over the picture, [H, W] each: squared distance from the centre, height, textures in -1..1."""

    radius: F32
    height: F32
    hatch: F32
    paper: F32


def place_of(width: int, height: int) -> Place:
    """The fields for a whole picture, as the run time has them."""
    w, h = width // 2, height // 2
    fields = [cv2.resize(f, (width, height), interpolation=cv2.INTER_LINEAR) for f in coordinates(w, h)]
    hatch, paper = textures(w, h)
    return Place(np.asarray(fields[0], np.float32), np.asarray(fields[1], np.float32), hatch, paper)


def _rgb(red: float, green: float, blue: float) -> F32:
    return np.array([red, green, blue], np.float32)


def _luma(image: NDArray[np.floating[Any]]) -> F32:
    return np.asarray(image @ _rgb(0.299, 0.587, 0.114), np.float32)


def _blur(image: F32, sigma: float) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def _smoothstep(x: NDArray[np.floating[Any]], low: float, high: float) -> F32:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _saturate(image: NDArray[np.floating[Any]], amount: float) -> Image:
    luma = _luma(image)[..., None]
    return np.asarray(luma + amount * (image - luma), np.float32)


def _ramp(x: F32, stops: list[tuple[float, float, float]]) -> Image:
    """Colours evenly spaced over 0..1, linear between."""
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(x, at, [stop[c] for stop in stops]) for c in range(3)], -1).astype(np.float32)


# looks


def night(image: Image, place: Place) -> Image:
    dark = _saturate(image, 0.55) ** 1.5 * _rgb(0.36, 0.45, 0.72)
    return np.asarray(dark * (1 - 0.35 * place.radius[..., None]) + _rgb(0.0, 0.012, 0.045), np.float32)


def golden_hour(image: Image, place: Place) -> Image:
    warm = image**0.92 * _rgb(1.14, 0.95, 0.66) + _rgb(0.05, 0.02, 0.0)
    light = 0.20 * (1 - place.height)[..., None] * _rgb(1.0, 0.72, 0.30)
    return np.asarray(1 - (1 - np.clip(warm, 0, 1)) * (1 - light), np.float32)


def sepia(image: Image, place: Place) -> Image:
    luma = _luma(image)[..., None]
    return np.asarray(np.clip(luma * _rgb(1.07, 0.88, 0.66) + _rgb(0.04, 0.025, 0.01), 0, 1), np.float32)


def black_and_white(image: Image, place: Place) -> Image:
    grey = image @ _rgb(0.42, 0.48, 0.10)
    grey = 0.45 * grey + 0.55 * _smoothstep(grey, 0.02, 0.98)
    return np.repeat(grey[..., None], 3, -1)


def vintage_film(image: Image, place: Place) -> Image:
    faded = 0.14 + 0.74 * _saturate(image, 0.62)
    faded = faded * _rgb(1.06, 1.0, 0.84) + _rgb(0.02, 0.0, 0.03)
    return np.asarray(faded * (1 - 0.45 * place.radius[..., None] ** 1.5), np.float32)


def teal_and_orange(image: Image, place: Place) -> Image:
    luma = _luma(image)[..., None]
    tone = _smoothstep(luma, 0.15, 0.75)
    tint = (1 - tone) * _rgb(-0.09, 0.02, 0.08) + tone * _rgb(0.10, 0.02, -0.11)
    warmth = np.clip((image[..., :1] - image[..., 2:]) * 1.4, -0.4, 0.4) * _rgb(0.45, 0.05, -0.45)
    curve = luma + 0.5 * (_smoothstep(luma, 0.0, 1.0) - luma)
    return np.asarray(curve + 0.75 * (image - luma) + tint + warmth, np.float32)


def infrared(image: Image, place: Place) -> Image:
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    plant = _smoothstep(green - 0.6 * blue - 0.4 * red, 0.0, 0.16)
    sky = _smoothstep(blue - red, 0.05, 0.35)
    base = np.clip(0.75 * red + 0.35 * green - 0.15 * blue, 0, 1) * (1 - 0.55 * sky)
    glow = base + plant * (0.95 - base) * 0.85
    return np.asarray(
        glow[..., None] * _rgb(1.0, 0.92, 0.95) + plant[..., None] * _rgb(0.0, -0.16, -0.08), np.float32
    )


def high_key(image: Image, place: Place) -> Image:
    light = 1 - (1 - _saturate(image, 0.7)) ** 1.9
    return np.asarray(0.10 + 0.92 * light, np.float32)


_IRON = [
    (0.0, 0.0, 0.08),
    (0.22, 0.0, 0.45),
    (0.62, 0.04, 0.55),
    (0.92, 0.30, 0.18),
    (1.0, 0.70, 0.05),
    (1, 1, 0.85),
]


def thermal(image: Image, place: Place) -> Image:
    return _ramp(_blur(_luma(image), 1.2), _IRON)


def negative(image: Image, place: Place) -> Image:
    return np.asarray(1 - image, np.float32)


# weather


def rain(image: Image, place: Place) -> Image:
    wet = _saturate(image, 0.5) * _rgb(0.66, 0.72, 0.80)
    return np.asarray(wet + 0.10 * (1 - place.height)[..., None] * _rgb(0.8, 0.9, 1.0), np.float32)


def snow(image: Image, place: Place) -> Image:
    cold = _saturate(image, 0.55) * _rgb(0.88, 0.92, 0.97) + _rgb(0.06, 0.07, 0.09)
    return np.asarray(cold + 0.18 * (1 - cold) * (1 - 0.6 * place.height)[..., None], np.float32)


def fog(image: Image, place: Place) -> Image:
    thick = (0.78 - 0.38 * place.height)[..., None]
    soft = _saturate(_blur(image, 1.5), 0.6)
    return np.asarray(soft + thick * (_rgb(0.80, 0.82, 0.84) - soft), np.float32)


# drawing


def _edges(luma: F32, sigma: float) -> F32:
    """Strength of the gradient, about 0..1 for a strong edge."""
    smooth = _blur(luma, sigma)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    return np.asarray(cv2.magnitude(dx, dy), np.float32)


def _difference(luma: F32, sigma: float, sharp: float) -> F32:
    """Extended difference of Gaussians (Winnemoeller 2011): small where a line should be."""
    return np.asarray((1 + sharp) * _blur(luma, sigma) - sharp * _blur(luma, 1.6 * sigma), np.float32)


def pencil(image: Image, place: Place) -> Image:
    luma = _luma(image)
    dodge = np.clip(luma / np.maximum(_blur(luma, 5.0), 0.04), 0, 1)
    line = _smoothstep(dodge, 0.55, 1.0)
    tone = _blur(luma, 1.5)
    # darker places get more of the stroke: the threshold on the hatching field falls with the tone
    shade = _smoothstep(place.hatch * 0.55 + 0.45 - 1.25 * (0.80 - tone), -0.35, 0.35)
    drawn = 0.97 * (0.25 + 0.75 * line) * (0.42 + 0.58 * shade) + 0.03 * place.paper
    return np.asarray(drawn[..., None] * _rgb(1.0, 0.99, 0.965), np.float32)


def ink(image: Image, place: Place) -> Image:
    dog = _difference(_luma(image), 1.1, 9.0)
    drawn = _smoothstep(dog, 0.22, 0.42)
    return np.asarray((0.06 + 0.91 * drawn)[..., None] * _rgb(1.0, 0.985, 0.95), np.float32)


def cartoon(image: Image, place: Place) -> Image:
    flat = image
    for _ in range(2):
        flat = np.asarray(cv2.bilateralFilter(np.ascontiguousarray(flat), 7, 0.14, 4.0), np.float32)
    luma = _luma(flat)
    step = luma * 6
    level = np.floor(step) + _smoothstep(step - np.floor(step), 0.35, 0.65)
    flat = _saturate(flat + (level / 6 - luma)[..., None], 1.45)
    line = 1 - _smoothstep(_edges(_luma(image), 1.2), 0.30, 0.75)
    return np.asarray(np.clip(flat + 0.03, 0, 1) * (0.08 + 0.92 * line)[..., None], np.float32)


def neon(image: Image, place: Place) -> Image:
    edge = np.clip(_edges(_luma(image), 1.0) * 1.5, 0, 1)
    core = _smoothstep(edge, 0.12, 0.7)
    glow = _blur(core, 4.0)
    soft = _blur(image, 2.0)
    hue = np.clip((soft - soft.min(-1, keepdims=True)) / (np.ptp(soft, axis=-1)[..., None] + 0.06), 0, 1)
    tint = 0.25 * _rgb(0.1, 0.9, 1.0) + 0.85 * hue
    lit = tint * (core * 1.0 + glow * 0.9)[..., None] + (core**3)[..., None] * 0.35
    return np.asarray(_rgb(0.02, 0.01, 0.06) + lit, np.float32)


def blueprint(image: Image, place: Place) -> Image:
    luma = _luma(image)
    line = _smoothstep(_edges(luma, 1.0), 0.10, 0.50)
    tone = 0.16 * _smoothstep(_blur(luma, 3.0), 0.1, 0.9) + 0.025 * place.paper
    base = _rgb(0.05, 0.19, 0.46) + tone[..., None] * _rgb(0.8, 0.95, 1.0)
    return np.asarray(base + line[..., None] * (_rgb(0.93, 0.96, 1.0) - base), np.float32)


def _kuwahara(image: Image, radius: int) -> Image:
    """Each pixel takes the mean of the calmest of its four quadrants: flat dabs with crisp borders."""
    size = radius + 1
    luma = _luma(image)
    mean = cv2.boxFilter(image, -1, (size, size), borderType=cv2.BORDER_REFLECT)
    mean_luma = cv2.boxFilter(luma, -1, (size, size), borderType=cv2.BORDER_REFLECT)
    spread = cv2.boxFilter(luma * luma, -1, (size, size), borderType=cv2.BORDER_REFLECT) - mean_luma**2
    shift = radius / 2
    total, weight = np.zeros_like(image), np.zeros_like(luma)
    for dx, dy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        matrix = np.array([[1, 0, -dx * shift], [0, 1, -dy * shift]], np.float32)
        area = (image.shape[1], image.shape[0])
        here = cv2.warpAffine(mean, matrix, area, borderMode=cv2.BORDER_REFLECT)
        calm = 1.0 / (cv2.warpAffine(spread, matrix, area, borderMode=cv2.BORDER_REFLECT).clip(0) + 1e-4) ** 3
        total += here * calm[..., None]
        weight += calm
    return np.asarray(total / weight[..., None], np.float32)


def watercolour(image: Image, place: Place) -> Image:
    wash = _kuwahara(_blur(image, 0.8), 4)
    wash = np.asarray(cv2.bilateralFilter(wash, 7, 0.12, 4.0), np.float32)
    rim = _blur(_luma(wash), 2.5) - _luma(wash)  # pigment gathers where a wash ends
    pale = 1 - (1 - _saturate(wash, 1.25)) * 0.82
    pale = pale - np.clip(rim * 1.6, -0.05, 0.25)[..., None]
    return np.asarray(pale + (0.05 * place.paper * (1.15 - _luma(pale)))[..., None] + 0.02, np.float32)


def oil_painting(image: Image, place: Place) -> Image:
    dab = _kuwahara(_kuwahara(image, 4), 3)
    luma = _luma(dab)
    relief = luma - _blur(luma, 1.5)
    rich = _saturate(dab, 1.4) + 1.2 * relief[..., None] + 0.035 * place.paper[..., None]
    return np.asarray(rich * 1.05 - 0.02, np.float32)


_functions: tuple[Callable[[Image, Place], Image], ...] = (
    night, golden_hour, sepia, black_and_white, vintage_film, teal_and_orange, infrared, high_key, thermal,
    negative, rain, snow, fog, pencil, ink, cartoon, neon, blueprint, watercolour, oil_painting,
)  # fmt: skip
TEACHERS: Mapping[str, Callable[[Image, Place], Image]] = {f.__name__: f for f in _functions}
assert tuple(TEACHERS) == EDIT_NAMES

# a drawing is made first, then lit, then rained upon: "snowy night as a pencil sketch"
ORDER = sorted(
    range(len(EDIT_NAMES)),
    key=lambda i: (("drawing", "looks", "weather").index(EDIT_BY_NAME[EDIT_NAMES[i]].group), i),
)


def apply(image: NDArray[np.floating[Any]], amounts: NDArray[Any], place: Place) -> Image:
    """The teacher's picture for a vector of amounts over EDIT_NAMES; amounts blend with what came before."""
    for index in ORDER:
        amount = np.float32(amounts[index])
        if amount > 0:
            edited = np.clip(TEACHERS[EDIT_NAMES[index]](np.asarray(image, np.float32), place), 0, 1)
            image = image + amount * (edited - image)
    return np.asarray(image, np.float32)

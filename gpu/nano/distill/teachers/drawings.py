"""The drawings: one exact program each. Pictures RGB float32 [H, W, 3] in 0..1, meant for 640x480.

Each is a few soft thresholds of blurred luma, slopes and differences of Gaussians, laid over a texture that
stands still on the screen (`geometry.textures_for`): a small network can follow it, and noise of a sensor,
blurred away first, does not make it boil.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.distill.teachers.tone import luma as luma_of
from gpu.nano.distill.teachers.tone import rgb, saturate, smoothstep

F32 = NDArray[np.float32]


def _luma(image: F32) -> F32:
    return luma_of(image)[..., 0]


def _blur(image: F32, sigma: float) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def _slope(luma: F32, sigma: float) -> F32:
    """Strength of the gradient, about 0..1 for a strong edge."""
    smooth = _blur(luma, sigma)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    return np.asarray(cv2.magnitude(dx, dy), np.float32)


def _line(luma: F32, sigma: float, gain: float) -> F32:
    """Difference of Gaussians: above 0 where a dark line should be, about 1 for a strong one."""
    return np.asarray(gain * (_blur(luma, 1.6 * sigma) - _blur(luma, sigma)), np.float32)


def _ground(share: F32, paper: F32, mark: F32) -> F32:
    """From paper (share 0) to mark (share 1); share [H, W], colours [3]."""
    return np.asarray(paper + share[..., None] * (mark - paper), np.float32)


def _flat(image: F32, passes: int = 2) -> F32:
    """Areas flattened, borders kept."""
    flat = image
    for _ in range(passes):
        flat = np.asarray(cv2.bilateralFilter(np.ascontiguousarray(flat), 7, 0.14, 4.0), np.float32)
    return flat


def _steps(luma: F32, levels: int, softness: float) -> F32:
    """Posterised luma, -: how far each pixel moves to its level."""
    scaled = luma * levels - 0.5
    base = np.floor(scaled)
    level = base + smoothstep(scaled - base, 0.5 - softness, 0.5 + softness)
    return np.asarray((level + 0.5) / levels, np.float32)


def pencil(image: F32, texture: F32) -> F32:
    luma = _luma(image)
    hatch, cross = texture
    line = np.clip(_line(luma, 1.1, 11.0) - 0.06, 0, 1)
    outline = smoothstep(line, 0.0, 0.55)
    tone = _blur(luma, 1.6)
    # darker places get more of the stroke: the threshold on the hatching field falls with the tone
    light = smoothstep(0.55 * hatch + 1.9 * (tone - 0.34), -0.45, 0.55)
    dark = smoothstep(0.55 * cross + 2.6 * (tone - 0.13), -0.5, 0.5)
    white = (0.42 + 0.58 * light) * (0.40 + 0.60 * dark) * (1 - 0.85 * outline)
    return _ground(np.asarray(1 - white, np.float32), rgb(0.985, 0.975, 0.95), rgb(0.10, 0.10, 0.115))


def charcoal(image: F32, texture: F32) -> F32:
    luma = _luma(image)
    hatch, tooth = texture
    tone = _blur(luma, 2.2)
    line = smoothstep(_line(luma, 1.8, 8.0), 0.04, 0.6)
    smear = 1 - smoothstep(tone, -0.05, 0.80)  # rubbed in with a finger: no grain
    stroke = np.clip(0.85 * smear**1.5 + 0.95 * line, 0, 1)
    # the stick leaves the valleys of the paper white
    grain = smoothstep(1.25 * stroke - 0.42 + 0.24 * tooth + 0.10 * hatch, -0.15, 0.65)
    share = np.asarray(1 - (1 - 0.62 * smear) * (1 - 0.80 * grain), np.float32)
    return _ground(share, rgb(0.93, 0.915, 0.88), rgb(0.055, 0.05, 0.05))


def ink(image: F32, texture: F32) -> F32:
    luma = _luma(image)
    hatch, cross = texture
    line = smoothstep(_line(luma, 1.1, 14.0) + 0.30 - 1.0 * np.clip(luma, 0, 0.30), 0.12, 0.42)
    tone = _blur(luma, 1.8)
    strokes = 1 - smoothstep(0.50 * hatch + 3.4 * (tone - 0.33), -0.28, 0.22)
    crossed = 1 - smoothstep(0.50 * cross + 3.4 * (tone - 0.20), -0.28, 0.22)
    black = 1 - (1 - line) * (1 - 0.92 * strokes) * (1 - 0.92 * crossed)
    return _ground(np.asarray(black, np.float32), rgb(0.975, 0.96, 0.92), rgb(0.05, 0.05, 0.085))


def line_and_wash(image: F32, texture: F32) -> F32:
    paper, tooth = texture
    luma = _luma(image)
    wash = _flat(_blur(image, 1.2))
    wash = 0.35 * wash + 0.65 * smoothstep(wash, -0.25, 0.80)  # thin where it is light: paper shows
    pale = 1 - (1 - saturate(wash, 1.55)) * 0.72
    level = _luma(np.asarray(pale, np.float32))
    pigment = (0.05 * paper + 0.025 * tooth) * np.clip(1.25 - level, 0, 1)
    pale = (pale + pigment[..., None]) * rgb(1.0, 0.985, 0.95)
    line = smoothstep(_line(luma, 1.0, 13.0), 0.10, 0.48)
    return np.asarray(pale + (0.92 * line)[..., None] * (rgb(0.13, 0.09, 0.08) - pale), np.float32)


def cartoon(image: F32, texture: F32) -> F32:
    luma = _luma(image)
    flat = _flat(image)
    level = _luma(flat)
    shaded = saturate(flat + 0.85 * (_steps(level, 5, 0.15) - level)[..., None], 1.5)
    line = smoothstep(_line(luma, 1.2, 10.0), 0.10, 0.42)
    line = np.maximum(line, smoothstep(_slope(luma, 1.2), 0.45, 0.95))
    return np.asarray((0.05 + 0.98 * shaded) * (1 - 0.94 * line)[..., None], np.float32)


def comic(image: F32, texture: F32) -> F32:
    dots = texture[0]
    luma = _luma(image)
    flat = _flat(image)
    level = _luma(flat)
    bright = smoothstep(level, 0.0, 0.78)
    colour = saturate(flat + (0.10 + 0.90 * _steps(bright, 3, 0.12) - level)[..., None], 1.8)
    # in the middle tones ink is printed as dots: the darker, the larger
    tone = _blur(luma, 2.0)
    dot = smoothstep(0.5 * dots + 1.9 * (0.46 - tone), 0.0, 0.25)
    dot = dot * smoothstep(tone, 0.06, 0.2)
    printed = colour * (1 - 0.42 * dot)[..., None]
    line = smoothstep(_line(luma, 1.3, 13.0) + 1.2 * np.clip(0.20 - luma, 0, 1), 0.12, 0.40)
    return np.asarray(printed * (1 - 0.97 * line)[..., None] + 0.015, np.float32)


def neon(image: F32, texture: F32) -> F32:
    edge = np.clip(_slope(_luma(image), 1.1) * 1.6, 0, 1)
    core = smoothstep(edge, 0.12, 0.65)
    glow = _blur(core, 4.0)
    soft = _blur(image, 2.0)
    # what is grey shines cyan; a little colour is enough for a tube of that colour
    tint = np.clip(rgb(0.08, 0.60, 0.85) + 4.5 * (soft - luma_of(soft)), 0, 1)
    lit = tint * (core + 0.9 * glow)[..., None] + (core**3)[..., None] * 0.4
    return np.asarray(rgb(0.02, 0.01, 0.06) + lit, np.float32)


def blueprint(image: F32, texture: F32) -> F32:
    grid, paper = texture
    luma = _luma(image)
    line = smoothstep(_slope(luma, 1.1), 0.10, 0.50)
    tone = 0.16 * smoothstep(_blur(luma, 3.0), 0.1, 0.9) + 0.02 * paper + 0.06 * (grid + 1)
    base = rgb(0.05, 0.19, 0.46) + tone[..., None] * rgb(0.8, 0.95, 1.0)
    return np.asarray(base + line[..., None] * (rgb(0.93, 0.96, 1.0) - base), np.float32)


def chalkboard(image: F32, texture: F32) -> F32:
    hatch, tooth = texture
    luma = _luma(image)
    line = smoothstep(_slope(luma, 1.2), 0.06, 0.42)
    tone = _blur(luma, 2.0)
    # light is laid on with the side of the chalk, in strokes
    rub = smoothstep(1.3 * (tone - 0.38) + 0.30 * hatch, -0.35, 0.75)
    chalk = 1 - (1 - 0.95 * line) * (1 - 0.60 * rub)
    dust = smoothstep(1.15 * chalk - 0.28 + 0.22 * tooth, -0.10, 0.72)
    board = rgb(0.075, 0.135, 0.11) + (0.07 * smoothstep(tone, 0.1, 0.9) + 0.012 * tooth)[..., None]
    return np.asarray(board + (0.92 * dust)[..., None] * (rgb(0.96, 0.955, 0.91) - board), np.float32)


def pixel_art(image: F32, texture: F32) -> F32:
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    level = _luma(small)
    # few lights, dithered, and few hues: levels of two colour differences, which keep clear of each other
    light = smoothstep(level, -0.15, 1.05) + 0.035 * texture[0][4::8, 4::8]
    light = _steps(np.asarray(light, np.float32), 7, 0.12)
    red = 1.5 * (small[..., 0] - level)
    blue = 1.5 * (small[..., 2] - level)
    red, blue = (_steps(np.asarray(x + 0.5 / 9, np.float32), 9, 0.15) - 0.5 / 9 for x in (red, blue))
    green = light - (0.299 * red + 0.114 * blue) / 0.587
    few = np.stack([light + red, green, light + blue], -1)
    return np.asarray(np.repeat(np.repeat(few, 8, 0), 8, 1), np.float32)


_programs: tuple[Callable[[F32, F32], F32], ...] = (
    pencil, charcoal, ink, line_and_wash, cartoon, comic, neon, blueprint, chalkboard, pixel_art,
)  # fmt: skip
DRAWINGS: Mapping[str, Callable[[F32, F32], F32]] = {program.__name__: program for program in _programs}


def draw(name: str, image: F32, texture: F32) -> F32:
    """The drawing `name` of a picture [H, W, 3] on its texture [2, H, W]; RGB clipped to 0..1."""
    return np.asarray(np.clip(DRAWINGS[name](np.asarray(image, np.float32), texture), 0, 1), np.float32)

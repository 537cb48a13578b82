"""The light of weather and seasons; see `looks`."""

from __future__ import annotations

import numpy as np

from gpu.nano.distill.teachers.pixels import Pixels
from gpu.nano.distill.teachers.tone import (
    F32,
    chroma_range,
    colourful,
    contrast,
    hue_between,
    luma,
    mix,
    power,
    rgb,
    saturate,
    shoulder,
    smoothstep,
    three_tone,
)


def rain(p: Pixels) -> F32:
    wet = contrast(saturate(p.rgb, 0.52), 0.12) * rgb(0.66, 0.72, 0.79) + rgb(0.0, 0.008, 0.018)
    veil = 0.30 * (1 - p.height) + 0.06
    return mix(wet, rgb(0.52, 0.58, 0.64), veil)


def snow(p: Pixels) -> F32:
    cold = saturate(p.rgb, 0.60) * rgb(0.86, 0.92, 0.99) + rgb(0.05, 0.06, 0.075)
    return mix(cold, rgb(0.88, 0.92, 0.97), 0.34 - 0.24 * p.height)


def fog(p: Pixels) -> F32:
    thick = 0.78 - 0.40 * p.height
    seen = saturate(mix(p.rgb, p.haze, 0.25), 0.65)
    return mix(seen, rgb(0.80, 0.82, 0.84) * (0.92 + 0.10 * luma(p.haze)), thick)


def _plants(x: F32) -> F32:
    """[..., 1]: how much of a leaf's or lawn's green a pixel has; skin and wood have none."""
    return np.asarray(hue_between(x, 52, 172, 10) * colourful(x, 0.12, 0.34), np.float32)


def autumn(p: Pixels) -> F32:
    leaf = _plants(p.rgb)
    light = power(np.clip(1.12 * p.rgb.max(-1, keepdims=True), 0, 1), 0.90)
    pale = p.rgb.min(-1, keepdims=True)
    leaves = three_tone(light, (0.05, 0.01, 0.0), (0.68, 0.17, 0.02), (1.0, 0.78, 0.30)) + 0.25 * pale
    sun = p.rgb * rgb(1.05, 0.985, 0.88) + rgb(0.012, 0.004, 0.0)
    return shoulder(mix(sun, leaves, leaf), 0.88)


def winter(p: Pixels) -> F32:
    light = luma(p.rgb)
    sure = smoothstep(chroma_range(p.rgb), 0.06, 0.22)  # a coder's colour noise in dark clothes gets no frost
    green = hue_between(p.rgb, 50, 172, 20) * colourful(p.rgb, 0.12, 0.50) * sure
    brown = hue_between(p.rgb, 18, 60, 14) * colourful(p.rgb, 0.18, 0.55) * (1 - light) * sure
    rime = (0.32 + 0.76 * light) * rgb(0.91, 0.96, 1.0)
    sky = hue_between(p.rgb, 180, 255, 20) * colourful(p.rgb, 0.06, 0.50) * np.minimum(1.8 * light, 1)
    cold = saturate(p.rgb, 0.70) * rgb(0.90, 0.96, 1.05) + rgb(0.02, 0.03, 0.045)
    cold = mix(cold, 0.35 + 0.62 * light * rgb(0.94, 1.0, 1.06), 0.60 * sky)
    return shoulder(mix(cold, rime, np.maximum(green, 0.5 * brown)), 0.85)

"""The teachers of every look: one exact program per edit of kind "look". Deterministic.

A look is *pointwise*: it sees a pixel, where it is, and the mean colour around it (`haze`, a wide blur the
network is given too), never its neighbours; that is why a network of a few thousand weights can follow it.
Rain and snow are only the light of such weather: drops and flakes are particles, laid over at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gpu.nano.distill.teachers import local_colour
from gpu.nano.distill.teachers.pixels import Pixels, pixels_of
from gpu.nano.distill.teachers.place import Place
from gpu.nano.distill.teachers.tone import (
    F32,
    chroma_range,
    contrast,
    hue_between,
    luma,
    mix,
    power,
    ramp,
    rgb,
    saturate,
    screen,
    shoulder,
    smoothstep,
    three_tone,
)
from gpu.nano.distill.teachers.weather import autumn, fog, rain, snow, winter
from gpu.nano.edits import names_of
from gpu.nano.palette import resolve

Look = Callable[[Pixels], F32]


def night(p: Pixels) -> F32:
    light = luma(p.rgb)
    moon = power(saturate(p.rgb, 0.6), 1.30) * rgb(0.40, 0.50, 0.80)
    lamps = smoothstep(light, 0.72, 1.0) * light * rgb(0.42, 0.30, 0.10)
    dark = contrast(1.14 * moon + lamps, 0.25) * (1 - 0.35 * p.radius)
    return np.asarray(dark + rgb(0.010, 0.020, 0.055), np.float32)


def golden_hour(p: Pixels) -> F32:
    warm = power(p.rgb, 0.95) * rgb(1.14, 0.95, 0.70) + rgb(0.035, 0.010, 0.02)
    sun = (0.30 * (1 - p.height) * (0.35 + luma(p.haze)) + 0.05) * rgb(1.0, 0.62, 0.24)
    return screen(shoulder(contrast(warm, 0.15)), sun)


def sunset(p: Pixels) -> F32:
    light = luma(p.rgb)
    tones = three_tone(light, (0.09, 0.03, 0.15), (0.66, 0.20, 0.30), (1.0, 0.80, 0.52))
    lit = mix(p.rgb * rgb(1.10, 0.78, 0.66), tones, 0.58)
    glow = 0.26 * (1 - np.abs(2 * p.height - 0.7)).clip(0, 1) * (0.3 + luma(p.haze))
    return screen(contrast(lit, 0.2), glow * rgb(1.0, 0.42, 0.22))


def blue_hour(p: Pixels) -> F32:
    light = luma(p.rgb)
    dusk = power(saturate(p.rgb, 0.62), 1.12) * rgb(0.60, 0.72, 1.02) + rgb(0.015, 0.035, 0.11)
    west = smoothstep(light, 0.55, 1.0) * (0.4 + 0.6 * p.height) * rgb(0.26, 0.10, -0.06)
    return np.asarray((dusk + west) * (1 - 0.15 * p.radius), np.float32)


def sepia(p: Pixels) -> F32:
    tone = contrast(luma(p.rgb), 0.25)
    print_ = three_tone(tone, (0.10, 0.06, 0.03), (0.66, 0.49, 0.32), (1.0, 0.95, 0.82))
    return np.asarray(print_ * (1 - 0.16 * p.radius), np.float32)


def _silver(p: Pixels, weights: F32, local: float) -> F32:
    """Grey of a film with that sensitivity, its local contrast raised."""
    grey = (p.rgb @ weights)[..., None]
    around = (p.haze @ weights)[..., None]
    return np.asarray(np.clip(grey + local * (grey - around), 0, 1), np.float32)


def black_and_white(p: Pixels) -> F32:
    grey = contrast(_silver(p, rgb(0.42, 0.48, 0.10), 0.18), 0.45)
    return np.asarray(np.repeat(grey, 3, -1), np.float32)


def noir(p: Pixels) -> F32:
    grey = _silver(p, rgb(0.34, 0.54, 0.12), 0.30)
    hard = contrast(contrast(power(grey, 1.25), 0.8), 0.5)
    return np.asarray(np.repeat(hard * (1 - 0.80 * smoothstep(p.radius, 0.15, 1.1)), 3, -1), np.float32)


def vintage_film(p: Pixels) -> F32:
    dyes = contrast(saturate(p.rgb, 0.68), 0.15) * rgb(1.02, 0.97, 0.82)
    faded = power(dyes, 0.88) * rgb(0.86, 0.83, 0.78) + rgb(0.13, 0.11, 0.115)
    halation = 0.16 * smoothstep(luma(p.haze), 0.45, 1.0) * rgb(1.0, 0.45, 0.15)
    return np.asarray(screen(faded, halation) * (1 - 0.30 * p.radius), np.float32)


def teal_and_orange(p: Pixels) -> F32:
    light = luma(p.rgb)
    warm = smoothstep(p.rgb[..., :1] - p.rgb[..., 2:], 0.02, 0.24)
    cold = mix(saturate(p.rgb, 0.55), light + rgb(-0.10, 0.015, 0.055), 0.6)
    cold = cold + (1 - light) * rgb(-0.035, 0.02, 0.045)
    skin = p.rgb * rgb(1.07, 0.97, 0.86) + rgb(0.015, 0.0, -0.01)
    return shoulder(contrast(mix(cold, skin, warm), 0.35), 0.8)


def cyberpunk(p: Pixels) -> F32:
    light = contrast(luma(p.rgb), 0.5)
    warm = smoothstep(p.rgb[..., :1] - p.rgb[..., 2:], -0.10, 0.22)
    magenta = three_tone(light, (0.06, 0.0, 0.14), (0.78, 0.04, 0.56), (1.0, 0.84, 0.96))
    cyan = three_tone(light, (0.02, 0.01, 0.16), (0.04, 0.42, 0.74), (0.66, 1.0, 1.0))
    neon = mix(mix(cyan, magenta, warm), contrast(p.rgb, 0.4), 0.25)
    return np.asarray(screen(neon, 0.22 * p.haze * rgb(0.6, 0.25, 1.0)) * (1 - 0.25 * p.radius), np.float32)


def bleach_bypass(p: Pixels) -> F32:
    light = luma(p.rgb)
    silver = mix(saturate(p.rgb, 0.5), light, 0.25)
    return shoulder(contrast(contrast(silver, 0.65), 0.35) * rgb(1.01, 1.02, 1.0) + 0.01, 0.85)


def cross_process(p: Pixels) -> F32:
    red = contrast(contrast(p.rgb[..., :1], 0.7), 0.2)
    green = contrast(p.rgb[..., 1:2], 0.55) * 1.04
    blue = 0.17 + 0.58 * p.rgb[..., 2:]
    return shoulder(np.concatenate([red, green, blue], -1), 0.85)


def vivid(p: Pixels) -> F32:
    spread = chroma_range(p.rgb)
    skin = hue_between(p.rgb, 5, 45, 12)
    boost = 1 + (0.75 - 0.35 * skin) * (1 - smoothstep(spread, 0.2, 0.9))
    grey = luma(p.rgb)
    rich = grey + boost * (p.rgb - grey)
    return shoulder(contrast(rich + 0.15 * (grey - luma(p.haze)), 0.3), 0.88)


def pastel(p: Pixels) -> F32:
    soft = 0.36 + 0.60 * power(saturate(p.rgb, 0.85), 0.85)
    light = luma(p.rgb)
    tint = mix(rgb(-0.01, -0.02, 0.05), rgb(0.035, 0.0, 0.01), light)
    return np.asarray(np.clip(soft + tint, 0, 1), np.float32)


def dream(p: Pixels) -> F32:
    glow = power(saturate(p.haze, 1.3), 1.7) * rgb(0.78, 0.68, 0.70)
    soft = screen(power(saturate(p.rgb, 1.10), 1.15), glow)
    return mix(soft, rgb(1.0, 0.90, 0.93), 0.05 + 0.24 * p.radius)


def high_key(p: Pixels) -> F32:
    light = 1 - (1 - np.clip(saturate(p.rgb, 0.72), 0, 1)) ** np.float32(2.1)
    return np.asarray(np.clip(0.09 + 0.91 * light, 0, 1), np.float32)


def infrared(p: Pixels) -> F32:
    red, green, blue = (p.rgb[..., i : i + 1] for i in range(3))
    plant = smoothstep(green - 0.6 * blue - 0.4 * red, 0.025, 0.16)
    sky = smoothstep(blue - red, 0.04, 0.35)
    base = np.clip(0.78 * red + 0.32 * green - 0.10 * blue, 0, 1) * (1 - 0.55 * sky)
    light = base + plant * (0.96 - base) * 0.80
    toned = light * rgb(1.0, 0.94, 0.95) + plant * rgb(0.0, -0.15, -0.07) + sky * rgb(-0.03, 0.0, 0.05)
    return screen(contrast(toned, 0.25), 0.14 * luma(p.haze) * rgb(1.0, 0.95, 0.97))


def night_vision(p: Pixels) -> F32:
    light = power(0.8 * luma(p.rgb) + 0.2 * luma(p.haze), 0.72)
    tube = three_tone(contrast(light, 0.4), (0.0, 0.055, 0.02), (0.03, 0.60, 0.12), (0.78, 1.0, 0.72))
    return np.asarray(tube * (1 - 0.85 * smoothstep(p.radius, 0.22, 0.95)), np.float32)


_IRON = [
    (0.0, 0.0, 0.08),
    (0.22, 0.0, 0.45),
    (0.62, 0.04, 0.55),
    (0.92, 0.30, 0.18),
    (1.0, 0.70, 0.05),
    (1.0, 1.0, 0.85),
]


def thermal(p: Pixels) -> F32:
    return ramp(0.7 * luma(p.rgb) + 0.3 * luma(p.haze), _IRON)


def duotone(p: Pixels) -> F32:
    tone = contrast(luma(p.rgb), 0.5)
    return three_tone(tone, (0.20, 0.04, 0.40), (0.66, 0.26, 0.44), (1.0, 0.88, 0.26))


def negative(p: Pixels) -> F32:
    return np.asarray(1 - p.rgb, np.float32)


def underwater(p: Pixels) -> F32:
    depth = 0.22 + 0.30 * p.height
    water = mix(rgb(0.16, 0.62, 0.70), rgb(0.0, 0.17, 0.34), p.height)
    seen = mix(p.rgb, p.haze, 0.15) * rgb(0.50, 0.92, 0.94)
    sun = 0.16 * (1 - p.height) ** 2 * (0.4 + luma(p.haze)) * rgb(0.6, 1.0, 0.95)
    return screen(mix(seen, water, depth), sun)


def warm(p: Pixels) -> F32:
    return shoulder(p.rgb * rgb(1.10, 1.00, 0.80) + rgb(0.015, 0.005, 0.0), 0.85)


def cool(p: Pixels) -> F32:
    return shoulder(p.rgb * rgb(0.84, 0.98, 1.13) + rgb(0.0, 0.004, 0.018), 0.85)


def brighten(p: Pixels) -> F32:
    return shoulder(1.08 * power(p.rgb, 0.68) + 0.01, 0.85)


def darken(p: Pixels) -> F32:
    return np.asarray(0.80 * power(p.rgb, 1.45), np.float32)


_functions: tuple[Look, ...] = (
    night, golden_hour, sunset, blue_hour, sepia, black_and_white, noir, vintage_film, teal_and_orange,
    cyberpunk, bleach_bypass, cross_process, vivid, pastel, dream, high_key, infrared, night_vision, thermal,
    duotone, negative, underwater, warm, cool, brighten, darken, rain, snow, fog, autumn, winter,
)  # fmt: skip
PLAIN: Mapping[str, Look] = {f.__name__: f for f in _functions}  # looks without colours to choose
assert (*PLAIN, "backdrop", "recolour", "colour_pop") == names_of("look")


def of_pixels(name: str, pixels: Pixels, colours: tuple[str, ...] = ()) -> F32:
    """[..., 3] in 0..1: what the edit `name` makes of them. Raises ModelError for an unknown colour."""
    chosen = resolve(name, colours)
    if name == "recolour":
        made = local_colour.recolour(pixels.rgb, *chosen)
    elif name == "colour_pop":
        made = local_colour.colour_pop(pixels.rgb, *chosen)
    elif name == "backdrop":
        made = local_colour.backdrop(pixels.radius, pixels.height, *chosen)
    else:
        made = PLAIN[name](pixels)
    return np.asarray(np.clip(made, 0, 1), np.float32)


def look(name: str, image: F32, place: Place, colours: tuple[str, ...] = ()) -> F32:
    """The teacher's picture [H, W, 3] of an edit of kind "look" (RGB float32 0..1)."""
    return of_pixels(name, pixels_of(np.asarray(image, np.float32), place), colours)

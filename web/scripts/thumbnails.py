"""Renders the preset tiles of the page with a model, from the sample clip: run after its weights changed.

    .venv/bin/python web/scripts/thumbnails.py [model] [--only NAME ...] [--threads N]

Writes web/public/presets/<model>/<preset>.webp. Knows the offline path of gpu, nothing of the page.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import av
import numpy as np

from gpu.models.base import EditModel
from gpu.models.registry import load_model
from gpu.offline import edit_frames
from gpu.types import Edit, Frame, Preset

PUBLIC = Path(__file__).resolve().parents[1] / "public"
FIRST, COUNT = 84, 16  # a moment with the face in view; the model's cache has filled by the last frame
CROP = (40, 0, 512, 288)  # left, top, width, height: the figure and some sky, large enough that strokes show
WIDTH, HEIGHT = 208, 117
MAX_BYTES = 6_000
QUALITIES = range(88, 8, -8)  # of WebP; the best that fits


def sample_frames() -> list[Frame]:
    """COUNT frames of the sample from FIRST on."""
    frames: list[Frame] = []
    with av.open(str(PUBLIC / "sample.mp4")) as clip:
        for index, picture in enumerate(clip.decode(video=0)):
            if index >= FIRST + COUNT:
                break
            if index >= FIRST:
                planes = picture.reformat(format="yuv420p").to_ndarray()
                h, w = picture.height, picture.width
                u, v = planes[h : h + h // 4], planes[h + h // 4 :]
                shape = (h // 2, w // 2)
                frames.append(Frame(planes[:h], u.reshape(shape), v.reshape(shape), index * 3600))
    return frames


def cropped(frame: Frame) -> Frame:
    left, top, width, height = CROP
    rows, columns = slice(top, top + height), slice(left, left + width)
    half_rows = slice(top // 2, (top + height) // 2)
    half_columns = slice(left // 2, (left + width) // 2)
    y, u, v = frame.y[rows, columns], frame.u[half_rows, half_columns], frame.v[half_rows, half_columns]
    return Frame(y, u, v, frame.pts)


def small_picture(frame: Frame) -> av.VideoFrame:
    """WIDTH x HEIGHT of the crop."""
    planes = [np.ascontiguousarray(plane).ravel() for plane in (frame.y, frame.u, frame.v)]
    whole = np.concatenate(planes).reshape(frame.height * 3 // 2, frame.width)
    picture = av.VideoFrame.from_ndarray(whole, format="yuv420p")
    return picture.reformat(WIDTH, HEIGHT, format="yuv420p", interpolation="AREA")


def webp_of(picture: av.VideoFrame) -> bytes:
    """The picture in at most MAX_BYTES, as good as that allows."""
    data = b""
    for quality in QUALITIES:
        encoder = av.CodecContext.create("libwebp", "w")
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base = encoder.framerate = 25
        encoder.options = {"quality": str(quality), "compression_level": "6", "preset": "photo"}
        picture.pts = None
        data = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
        if len(data) <= MAX_BYTES:
            break
    return data


def render(model: EditModel, presets: tuple[Preset, ...], folder: Path) -> list[str]:
    """Write a tile of each preset that the model understands; returns the names of the others."""
    frames = sample_frames()
    missed: list[str] = []
    started = time.monotonic()
    for number, preset in enumerate(presets, 1):
        if not model.read(preset.prompt).understood:
            missed.append(preset.name)
            continue
        edit = Edit(revision=1, prompt=preset.prompt, transition_ms=0)
        *_, last = edit_frames(model, frames, [(0, edit)])
        (folder / f"{preset.name}.webp").write_bytes(webp_of(small_picture(cropped(last))))
        left_s = (time.monotonic() - started) / number * (len(presets) - number)
        print(f"\r{number}/{len(presets)} {preset.name:<24} {left_s:4.0f} s left", end="", flush=True)
    print()
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="nano")
    parser.add_argument("--only", nargs="*", default=[], help="names of presets; the other tiles stay")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are")
    options = parser.parse_args()
    model = load_model(options.model, threads=options.threads)
    folder = PUBLIC / "presets" / model.spec.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        presets = tuple(p for p in model.spec.presets if not options.only or p.name in options.only)
        missed = render(model, presets, folder)
    finally:
        model.close()
    offered = {preset.name for preset in model.spec.presets} - set(missed)
    for stale in [path for path in folder.iterdir() if path.suffix != ".webp" or path.stem not in offered]:
        stale.unlink()
    tiles = list(folder.iterdir())
    print(f"{len(tiles)} tiles in {folder}, {sum(tile.stat().st_size for tile in tiles) / 1000:.0f} kB")
    if missed:
        print(f"not understood, so without a tile: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

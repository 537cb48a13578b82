"""Renders the preset tiles of the page with a model, from the sample clip: run after its weights changed.

    .venv/bin/python web/scripts/thumbnails.py [model]

Writes web/public/presets/<model>/<preset>.jpg. Knows the offline path of gpu, nothing of the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np

from gpu.models.base import EditModel
from gpu.models.registry import load_model
from gpu.offline import edit_frames
from gpu.types import Edit, Frame

PUBLIC = Path(__file__).resolve().parents[1] / "public"
FIRST, COUNT = 84, 16  # a moment with the face in view; the model's cache has filled by the last frame
WIDTH, HEIGHT = 208, 117
QUALITY = 4  # of MJPEG, 2 (best) to 31


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


def jpeg_of(frame: Frame) -> bytes:
    h, w = frame.height, frame.width
    planes = np.concatenate([frame.y, frame.u.reshape(h // 4, w), frame.v.reshape(h // 4, w)])
    picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
    encoder.time_base = encoder.framerate = 25
    encoder.options = {"qmin": str(QUALITY), "qmax": str(QUALITY)}
    small = picture.reformat(
        WIDTH, HEIGHT, format="yuvj420p", src_color_range="MPEG", dst_color_range="JPEG", interpolation="AREA"
    )
    small.pts = None
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])


def render(model: EditModel) -> None:
    folder = PUBLIC / "presets" / model.spec.name
    folder.mkdir(parents=True, exist_ok=True)
    frames = sample_frames()
    for preset in model.spec.presets:
        edit = Edit(revision=1, prompt=preset.prompt, transition_ms=0)
        *_, last = edit_frames(model, frames, [(0, edit)])
        (folder / f"{preset.name}.jpg").write_bytes(jpeg_of(last))
    names = {f"{preset.name}.jpg" for preset in model.spec.presets}
    for stale in [path for path in folder.glob("*.jpg") if path.name not in names]:
        stale.unlink()
    print(f"{len(model.spec.presets)} tiles in {folder}")


if __name__ == "__main__":
    loaded = load_model(sys.argv[1] if len(sys.argv) > 1 else "nano")
    try:
        render(loaded)
    finally:
        loaded.close()

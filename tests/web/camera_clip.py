"""The sample clip as a camera of Chromium. Knows files, not browsers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange

SAMPLE = Path(__file__).resolve().parents[2] / "web" / "public" / "sample.mp4"
WIDTH, HEIGHT, FRAMES = 640, 480, 90


def write_mjpeg(target: Path) -> Path:
    """The clip's first three seconds as bare JPEGs of 640x480, which Chromium plays in a loop at 30 fps."""
    with av.open(str(SAMPLE)) as source, av.open(str(target), "w", format="mjpeg") as sink:
        stream = sink.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        stream.codec_context.color_range = ColorRange.JPEG
        stream.options = {"qmin": "3", "qmax": "3"}
        for index, frame in enumerate(source.decode(video=0)):
            if index == FRAMES:
                break
            picture = frame.reformat(WIDTH, HEIGHT, "yuvj420p", dst_color_range="JPEG")
            picture.pts, picture.time_base = index, Fraction(1, 30)
            sink.mux(stream.encode(picture))
        sink.mux(stream.encode(None))
    return target

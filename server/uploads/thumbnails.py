"""Small pictures of a film, evenly over it, in one JPEG: what a scrubber shows. Knows frames, no files."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpu.film.reader import FilmReader
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ, U8

MOST = 60
COLUMNS = 10
WIDTH = 160  # pixels of one; even
QUALITY = 4  # of MJPEG, 2 is best


def sprite(
    reader: FilmReader, most: int = MOST, go_on: Callable[[], None] = lambda: None
) -> tuple[bytes, bytes]:
    """(JPEG, JSON): pictures in rows of COLUMNS, each of the frame at or after its time.

    The JSON: columns, width and height of one in pixels, and `at`, their times in seconds.
    `go_on` is called before each picture: what it raises ends this."""
    video = reader.info.video
    count = max(1, min(most, video.frames))
    height = max(2, round(WIDTH * video.height / video.width / 2) * 2)
    pictures: list[U8] = []
    times: list[float] = []
    for number in range(count):
        go_on()
        at = video.duration * number // count
        frame = next(reader.frames(at), None)
        if frame is None:
            break
        shown: Any = av.VideoFrame.from_ndarray(
            np.vstack([frame.y, np.concatenate([frame.u.ravel(), frame.v.ravel()]).reshape(-1, frame.width)]),
            format="yuv420p",
        )
        pictures.append(shown.reformat(WIDTH, height, "rgb24").to_ndarray())
        times.append(round(frame.pts / CLOCK_HZ, 3))
    if not pictures:
        raise FilmError("no picture of the film can be read: send it again")
    rows = -(-len(pictures) // COLUMNS)
    sheet = np.zeros((rows * height, COLUMNS * WIDTH, 3), np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        sheet[row * height : (row + 1) * height, column * WIDTH : (column + 1) * WIDTH] = picture
    told = {"columns": COLUMNS, "width": WIDTH, "height": height, "at": times}
    return _jpeg(sheet), json.dumps(told).encode()


def _jpeg(picture: U8) -> bytes:
    context: Any = av.CodecContext.create("mjpeg", "w")
    context.width, context.height = picture.shape[1], picture.shape[0]
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    context.options = {"qmin": str(QUALITY), "qmax": str(QUALITY)}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))

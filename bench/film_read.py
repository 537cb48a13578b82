"""Frames a second of a film's reader beside libav's bare decode, in one interleaved run.

`python -m bench.film_read [FILM] [--rounds N]`; without a film, one is made (1280x720, 8 s). Prints a table,
then one JSON line. `bare` decodes in this process with libav's defaults and touches no picture; `planes` also
copies the three planes out, as whoever wants frames must.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from gpu.film.reader import open_film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = asked.film or _make(Path(folder) / "film.mp4")
        ways: dict[str, Callable[[Path], tuple[int, float]]] = {
            "reader": _reader,
            "bare": _bare,
            "planes": _planes,
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        first = []
        for _ in range(asked.rounds):
            for name, way in ways.items():
                frames, seconds = way(path)
                found[name].append(frames / seconds)
            first.append(_first(path))
    fps = {name: statistics.median(each) for name, each in found.items()}
    for name, each in fps.items():
        print(f"{name:8} {each:8.1f} frames/s   x{each / fps['bare']:.2f} of bare")
    opened, shown = (statistics.median(each) for each in zip(*first, strict=True))
    print(f"opened and counted after {opened * 1000:.0f} ms, first frame after {shown * 1000:.0f} ms")
    print(json.dumps({**{f"{k}_fps": round(v, 1) for k, v in fps.items()}, "first_frame_s": round(shown, 3)}))


def _reader(path: Path) -> tuple[int, float]:
    with open_film(path) as reader:
        began = time.perf_counter()
        return sum(1 for _ in reader.frames()), time.perf_counter() - began


def _bare(path: Path) -> tuple[int, float]:
    began = time.perf_counter()
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0)), time.perf_counter() - began


def _planes(path: Path) -> tuple[int, float]:
    began, frames = time.perf_counter(), 0
    with av.open(str(path)) as file:
        for picture in file.decode(video=0):
            _ = picture.to_ndarray()
            frames += 1
    return frames, time.perf_counter() - began


def _first(path: Path) -> tuple[float, float]:
    """Seconds from nothing until it is open, and until the first frame is here."""
    began = time.perf_counter()
    with open_film(path) as reader:
        opened = time.perf_counter() - began
        next(reader.frames())
        return opened, time.perf_counter() - began


def _make(path: Path, frames: int = 200) -> Path:
    rng = np.random.default_rng(0)
    noise = np.kron(rng.integers(0, 40, (135, 160), np.uint8), np.ones((16, 16), np.uint8))
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23", "bf": "2"}
        stream.codec_context.colorspace = 6
        for number in range(frames):
            image = noise[number * 2 % 1000 :, number * 3 % 1200 :][:1080, :1280] + np.uint8(80)
            frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "yuv420p")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()

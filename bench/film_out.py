"""How fast a film is cut, encoded and put together: `python -m bench.film_out FILM`.

The film is decoded, cut into spans, and its own frames are written as segments, as a render without a model
would. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from gpu.film.assemble import assemble
from gpu.film.cut import cut
from gpu.film.reader import open_film
from gpu.film.rendition import write_rendition
from gpu.film.segment import OutputSettings, init_segment, write_segment
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m bench.film_out")
    asked.add_argument("film", type=Path)
    asked.add_argument("--crf", type=int, default=18)
    asked.add_argument("--preset", default="veryfast")
    asked.add_argument("--threads", type=int, default=1)
    args = asked.parse_args()
    settings = OutputSettings(args.crf, args.preset, args.threads)
    try:
        print(json.dumps(_measure(args.film, settings)))
    except FilmError as error:
        raise SystemExit(str(error)) from error


def _measure(path: Path, settings: OutputSettings) -> dict[str, float | int | str]:
    started = time.perf_counter()
    with open_film(path) as film, tempfile.TemporaryDirectory() as folder:
        info, opened = film.info, time.perf_counter()
        for _ in film.frames():
            pass
        read = time.perf_counter()
        spans = cut(film)
        cut_at = time.perf_counter()
        paths, encode_s, total = [], 0.0, 0
        for span in spans:
            frames = list(film.frames(span.start, span.end))
            begun = time.perf_counter()
            data = write_segment(frames, span, info, settings)
            encode_s += time.perf_counter() - begun
            paths.append(Path(folder) / f"{span.index}.m4s")
            paths[-1].write_bytes(data)
            total += len(data)
        begun = time.perf_counter()
        write_rendition(path, spans, Path(folder) / "sound.mp4")
        sounded = time.perf_counter()
        assemble(init_segment(info, settings), paths, path, spans, Path(folder) / "out.mp4")
        joined = time.perf_counter()
    video, count = info.video, info.video.frames
    rows = {
        "open (count every packet)": count / (opened - started),
        "read": count / (read - opened),
        "read and cut": count / (cut_at - read),
        "write_segment": count / encode_s,
        "sound for HLS": count / (sounded - begun),
        "assemble": count / (joined - sounded),
    }
    print(f"{path.name}: {video.width}x{video.height}, {count} frames, {len(spans)} spans, {settings}")
    for name, fps in rows.items():
        print(f"  {name:28} {fps:10.0f} frames/s")
    bps = total * 8 * CLOCK_HZ / video.duration
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  {'bitrate':28} {bps / 1e6:10.2f} Mbit/s\n  {'peak memory':28} {peak:10} MB")
    figures = {f"{name} fps": round(fps, 1) for name, fps in rows.items()}
    return {"bench": "film_out", **figures, "bps": round(bps), "peak_mb": peak, "spans": len(spans)}


if __name__ == "__main__":
    main()

"""`python -m bench film-edit`: `relens edit` against the bare model loop on the same frames, in one run.

The bare loop steps the model over frames that lie in memory; `relens edit` decodes, finds scenes, edits,
encodes and puts the film together, its start and the loading of the model among it. Runs alternate, as the
machine is not always equally fast. The film is the page's sample clip, looped.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av

from bench.error import BenchError
from bench.figures import Progress, json_line, table
from bench.machine import describe
from gpu.errors import RelensError
from gpu.film.reader import open_film
from gpu.models.registry import load_model
from gpu.types import CLOCK_HZ, Edit, Frame

CLIP = Path(__file__).resolve().parent.parent / "web" / "public" / "sample.mp4"
FPS = 24
PROMPTS = ("make it night", "paint it like Van Gogh's Starry Night")
ENOUGH = 0.85  # of the bare loop: the aim
IN_MEMORY = 240  # frames that the bare loop goes round


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", type=Path, default=CLIP, help="what is looped")
    parser.add_argument("--size", default="640x480", help="of the film")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the film")
    parser.add_argument("--rounds", type=int, default=2, help="of each, alternating")
    parser.add_argument("--model", default="nano", help="a model's name")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    width, height = (int(side) for side in args.size.split("x"))
    count = round(args.seconds * FPS)
    rows: list[list[object]] = []
    shares: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="relens-film-") as folder:
        film = Path(folder) / "film.mp4"
        frames = make_film(args.clip, film, (width, height), count)
        bar = Progress(len(PROMPTS) * args.rounds * 2, "film-edit")
        done = 0
        for prompt in PROMPTS:
            bare: list[float] = []
            whole: list[float] = []
            for _ in range(args.rounds):
                bare.append(count / bare_s(args.model, prompt, frames, count))
                done += 1
                bar.show(done, f"bare loop {bare[-1]:.1f} fps")
                whole.append(count / edit_s(args.model, prompt, film))
                done += 1
                bar.show(done, f"relens edit {whole[-1]:.1f} fps")
            shares[prompt] = statistics.median(b / a for a, b in zip(bare, whole, strict=True))
            enough = "yes" if shares[prompt] >= ENOUGH else "no"
            rows.append(
                [prompt, statistics.median(bare), statistics.median(whole), f"{shares[prompt]:.3f}", enough]
            )
    print(table(["edit", "bare loop, fps", "relens edit, fps", "share", f"{ENOUGH} or more"], rows))
    result = {
        "bench": "film_edit", "machine": describe(), "size": args.size, "frames": count, "shares": shares,
    }  # fmt: skip
    print(json_line(result))
    return result


def make_film(clip: Path, film: Path, size: tuple[int, int], count: int) -> list[Frame]:
    """The clip looped to `count` frames; some of its frames as the reader gives them."""
    if not clip.is_file():
        raise BenchError(f"there is no clip {clip}: name one with --clip")
    with av.open(str(clip)) as source:
        pictures = [picture.reformat(*size, "yuv420p") for picture in source.decode(video=0)]
    with av.open(str(film), "w") as out:
        stream: Any = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "20"}
        for number, picture in enumerate(islice(cycle(pictures), count)):
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            picture.pict_type = 0
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    with open_film(film) as reader:
        return list(islice(reader.frames(), IN_MEMORY))


def bare_s(name: str, prompt: str, frames: list[Frame], count: int) -> float:
    """Seconds for `count` steps, the model loaded and warm."""
    model = load_model(name)
    try:
        state = model.open_state(frames[0].width, frames[0].height)
        edit = Edit(1, prompt, transition_ms=0)
        model.ready_for(state, edit, 30.0)
        model.set_edit(state, edit)
        model.step(state, frames[:1])
        began_s = time.perf_counter()
        for number, frame in enumerate(islice(cycle(frames), count)):
            pts = number * CLOCK_HZ // FPS
            model.step(state, [Frame(frame.y, frame.u, frame.v, pts)])
        return time.perf_counter() - began_s
    finally:
        model.close()


def edit_s(name: str, prompt: str, film: Path) -> float:
    """Seconds of the whole command."""
    out = film.with_name("out.mp4")
    command = [sys.executable, "-m", "server", "edit", str(film), str(out), "--prompt", prompt, "--force"]
    began_s = time.perf_counter()
    done = subprocess.run(
        [*command, "--model", name], capture_output=True, text=True, timeout=600, check=False
    )
    took_s = time.perf_counter() - began_s
    if done.returncode:
        raise BenchError(f"relens edit failed: {done.stderr[-300:]}")
    return took_s


async def run(args: argparse.Namespace) -> dict[str, Any]:
    try:
        result = await asyncio.to_thread(measure, args)
    except RelensError as error:
        raise BenchError(str(error)) from error
    return result

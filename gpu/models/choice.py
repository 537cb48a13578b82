"""Which of nano's two sizes this machine carries, found by running the larger one before anybody waits for
it, in bounded time. Knows models by name, and no servers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gpu.errors import RelensError
from gpu.models.base import EditModel
from gpu.models.registry import load_model
from gpu.types import CLOCK_HZ, Edit, Frame

AUTO = "auto"  # in the place of a model's name: measure
SMALL, LARGE = "nano", "nano-plus"
SIZE = (1280, 720)  # the largest picture both take
FPS = 24
# each the dearest of its kind: a painting, a drawing, local colour
PROMPTS = ("paint it like Van Gogh's Starry Night", "as a pencil sketch", "make the green things orange")
# of the time between two pictures; codecs, other threads and warm days need the rest
CLEARLY, ENOUGH, NEVER = 0.5, 0.6, 0.75
FEW, MANY = 4, 16  # steps that are judged by their median: at first, and where that lies in between
HOPELESS = 2 * NEVER  # where two steps both take longer, there is no need of more
LIMIT_S = 3.0

Verdict = Literal["holds", "fails", "open"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The model to begin with, why in words, and the model itself where the measurement left it loaded."""

    name: str
    why: str
    model: EditModel | None = None


def judge(step_ms: Sequence[float], fps: float = FPS) -> Verdict:
    """Whether steps that took this long hold `fps` with room to spare. Few may leave it open; many do not."""
    if len(step_ms) < FEW:
        return "fails" if len(step_ms) > 1 and min(step_ms) * fps / 1e3 > HOPELESS else "open"
    share = statistics.median(step_ms) * fps / 1e3
    if share <= CLEARLY:
        return "holds"
    if share > NEVER:
        return "fails"
    if len(step_ms) < MANY:
        return "open"
    return "holds" if share <= ENOUGH else "fails"


def choose(threads: int = 0, limit_s: float = LIMIT_S) -> Choice:
    """Measure for about `limit_s`; `threads` as the server gives the model. Never raises: what goes wrong
    speaks for the small one."""
    deadline_s = time.monotonic() + limit_s
    try:
        model = load_model(LARGE, threads)
    except RelensError as error:
        return Choice(SMALL, f"{LARGE} cannot be loaded: {error}")
    try:
        holds, why = _try(model, deadline_s)
    except RelensError as error:
        holds, why = False, f"{LARGE} does not run: {error}"
    if holds:
        return Choice(LARGE, why, model)
    model.close()
    return Choice(SMALL, why)


def _try(model: EditModel, deadline_s: float) -> tuple[bool, str]:
    """Whether it holds the rate in every edit, and the figures of the dearest."""
    pictures = _pictures()
    worst_ms, worst = 0.0, ""
    for prompt in PROMPTS:
        state = model.open_state(*SIZE)
        model.set_edit(state, Edit(1, prompt, transition_ms=0))
        step_ms: list[float] = []
        verdict: Verdict = "open"
        for count in range(1 + MANY):
            frame = pictures[count % len(pictures)]
            began_s = time.perf_counter()
            model.step(state, [Frame(frame.y, frame.u, frame.v, count * CLOCK_HZ // FPS)])
            if count:  # the first compiles and warms up
                step_ms.append((time.perf_counter() - began_s) * 1e3)
            verdict = judge(step_ms)
            # where there is no more time it counts against the large one, but not without figures
            if verdict != "open" or (len(step_ms) > 1 and time.monotonic() > deadline_s):
                break
        took_ms = statistics.median(step_ms)
        if took_ms > worst_ms:
            worst_ms, worst = took_ms, prompt
        if verdict != "holds":
            return False, _figures(worst_ms, worst)
    return True, _figures(worst_ms, worst)


def _figures(took_ms: float, prompt: str) -> str:
    width, height = SIZE
    return (
        f"{LARGE} takes {took_ms:.0f} ms a picture at {width}x{height} ({prompt}), "
        f"and {FPS} a second with room to spare allow {ENOUGH * 1e3 / FPS:.0f} ms"
    )


def _pictures(count: int = 4) -> list[Frame]:
    """A textured picture that slides under noise, so that no part of a step is spared; seeded."""
    width, height = SIZE
    rng = np.random.default_rng(7)
    rows, cols = np.mgrid[0:height, 0:width]
    base = 90 + (rows * 7 + cols * 3) // 16 % 80 + 20 * ((rows // 40 + cols // 40) % 2)
    half = (height // 2, width // 2)
    made = []
    for n in range(count):
        y = np.roll(base, 3 * n, axis=1) + rng.integers(-4, 5, base.shape)
        u, v = (
            rng.integers(80, 176, (half[0] // 20, half[1] // 20)).repeat(20, 0).repeat(20, 1) for _ in "uv"
        )
        made.append(Frame(y.astype(np.uint8), u.astype(np.uint8), v.astype(np.uint8), n * CLOCK_HZ // FPS))
    return made

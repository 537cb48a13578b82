"""An hour's frames through one pipeline in this process, as fast as they come out again."""

from __future__ import annotations

import gc
import os
import threading
import time
from typing import Any

from bench.client import ClientConfig
from bench.figures import Progress
from bench.held import Held, held_by
from bench.load import encode_clip
from gpu.errors import RelensError
from gpu.models.registry import load_model
from gpu.pipeline import PipelineConfig
from gpu.types import Edit, EncodedFrame
from gpu.worker import Worker

_CLOCK_HZ = 90_000
_FPS = 24
_WARM = 400
_POINTS = 40
_STALL_S = 20.0
PROMPTS = ("make it night", "watercolor painting", "rain", "pencil sketch", "")


class CountingSink:
    """Counts what comes out and keeps nothing."""

    def __init__(self) -> None:
        self.frames = 0
        self.applied = 0
        self.keyframes_asked = 0
        self.errors: list[str] = []

    def on_frame(self, frame: EncodedFrame) -> None:
        self.frames += 1

    def on_applied(self, revision: int, pts: int) -> None:
        self.applied += 1

    def on_keyframe_needed(self) -> None:
        self.keyframes_asked += 1

    def on_degraded(self, level: int, message: str) -> None:
        pass  # its pace is none of a camera's

    def on_error(self, exc: RelensError) -> None:
        if len(self.errors) < 10:
            self.errors.append(str(exc))


def soak_frames(model_name: str, size: str, frames: int, seconds: float) -> dict[str, Any]:
    """Push `frames` frames (or for `seconds`), changing the edit every 240; what is held before and after.

    `before` is taken after the first frames, `after` at the end while the stream is still open, `closed` when
    worker and stream are gone, against `start`."""
    width, _, height = size.partition("x")
    units = encode_clip(ClientConfig(int(width), int(height), _FPS))
    start = _held()
    sink, worker = CountingSink(), Worker(load_model(model_name))
    worker.start()
    trend: list[dict[str, float]] = []
    before: Held = {}
    pushed, began, changes = 0, time.monotonic(), 0
    try:
        pipeline = worker.open(PipelineConfig(in_order=True), sink)
        progress = Progress(frames, f"soak {model_name}")
        last_out, last_s = 0, began
        while pushed < frames and time.monotonic() - began < seconds and not pipeline.closed:
            unit = units[pushed % len(units)]
            frame = EncodedFrame(unit, pushed * _CLOCK_HZ // _FPS, pushed % _FPS == 0)
            if not pipeline.push_wait(frame, 1.0):
                if sink.frames != last_out:
                    last_out, last_s = sink.frames, time.monotonic()
                if time.monotonic() - last_s > _STALL_S:
                    sink.errors.append(f"stalled after {sink.frames} frames out")
                    break
                continue
            pushed += 1
            if pushed % 240 == 0:
                changes += 1
                pipeline.set_edit(Edit(changes, PROMPTS[changes % len(PROMPTS)]))
            if pushed == min(_WARM, frames // 4):
                before = _held()
            if pushed % max(1, frames // _POINTS) == 0:
                trend.append({"frames": pushed, "rssMb": _held()["rssMb"]})
                progress.show(pushed)
        _drain(sink, pushed)
        after = _held()
        errors = pipeline.stats().frame_errors
        pipeline.close()
    finally:
        worker.close()
    took_s = time.monotonic() - began
    return {
        "framesIn": pushed,
        "framesOut": sink.frames,
        "seconds": round(took_s, 1),
        "timesRealTime": round(pushed / _FPS / took_s, 1),
        "changes": changes,
        "applied": sink.applied,
        "frameErrors": errors,
        "errors": sink.errors,
        "keyframesAsked": sink.keyframes_asked,
        "start": start,
        "before": before,
        "after": after,
        "closed": _held(),
        "trend": trend,
    }


def _drain(sink: CountingSink, pushed: int) -> None:
    deadline = time.monotonic() + 10
    while sink.frames < pushed and time.monotonic() < deadline:
        time.sleep(0.05)


def _held() -> Held:
    gc.collect()
    return {**held_by(os.getpid()), "threads": threading.active_count(), "objects": len(gc.get_objects())}

"""What is measured of a stream: stage times and rates of the last second, totals since it opened."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np

WINDOW_NS = 1_000_000_000
_MAX_SAMPLES = 256  # of one second: bounds the memory of a stream far beyond any camera's rate
STAGES = ("decode", "wait", "edit", "encode", "total")


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage over the last second, in ms. `total`: from the last packet's arrival to the encoded frame.

    On a GPU `edit` is the time to hand the work in; the work itself is waited for, and counted, in `encode`.
    """

    p50_ms: float = 0.0
    p95_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PipelineStats:
    """One stream as it is now. Rates and times are of the last second, counts since the stream opened."""

    width: int = 0
    height: int = 0
    fps_in: float = 0.0
    fps_out: float = 0.0
    bitrate_in_bps: int = 0
    bitrate_out_bps: int = 0
    target_bps: int = 0
    frames_in: int = 0
    frames_out: int = 0
    dropped: int = 0
    frame_errors: int = 0
    keyframes_asked: int = 0
    keyframes_sent: int = 0
    revision: int = 0
    level: int = 0
    paused: bool = False
    decoder: str = ""  # what decodes now: "libav" or "NVDEC"
    encoder: str = ""  # what encodes: "libx264", "libvpx" or "NVENC"
    stages: dict[str, StageTime] = field(default_factory=dict)


class RateMeter:
    """Events and bytes per second over the last second."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, int]] = deque(maxlen=_MAX_SAMPLES)

    def saw(self, now_ns: int, size_bytes: int = 0) -> None:
        self._events.append((now_ns, size_bytes))

    def rate(self, now_ns: int) -> tuple[float, int]:
        """(events per second, bits per second)."""
        recent = [size for at, size in self._events if now_ns - at < WINDOW_NS]
        return float(len(recent)), sum(recent) * 8


class Meter:
    """Collects one stream's numbers. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, deque[tuple[int, float]]] = {
            stage: deque(maxlen=_MAX_SAMPLES) for stage in STAGES
        }
        self._rates = {"in": RateMeter(), "out": RateMeter(), "shown": RateMeter()}
        self._counts: dict[str, int] = {}
        self._size = (0, 0)

    def time(self, stage: str, now_ns: int, took_ns: int) -> None:
        with self._lock:
            self._times[stage].append((now_ns, took_ns / 1e6))

    def rate(self, name: str, now_ns: int, size_bytes: int = 0) -> None:
        """`in`: encoded frames taken; `shown`: pictures decoded; `out`: encoded frames delivered."""
        with self._lock:
            self._rates[name].saw(now_ns, size_bytes)

    def count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + by

    def size(self, width: int, height: int) -> None:
        with self._lock:
            self._size = (width, height)

    def fps(self, now_ns: int) -> tuple[float, float]:
        """(pictures decoded, encoded frames delivered) per second."""
        with self._lock:
            return self._rates["shown"].rate(now_ns)[0], self._rates["out"].rate(now_ns)[0]

    def stats(self, now_ns: int, revision: int, level: int, paused: bool, target_bps: int) -> PipelineStats:
        with self._lock:
            fps_in, bps_in = self._rates["in"].rate(now_ns)
            fps_out, bps_out = self._rates["out"].rate(now_ns)
            counted = self._counts
            return PipelineStats(
                width=self._size[0],
                height=self._size[1],
                fps_in=fps_in,
                fps_out=fps_out,
                bitrate_in_bps=bps_in,
                bitrate_out_bps=bps_out,
                target_bps=target_bps,
                frames_in=counted.get("frames_in", 0),
                frames_out=counted.get("frames_out", 0),
                dropped=counted.get("dropped", 0),
                frame_errors=counted.get("frame_errors", 0),
                keyframes_asked=counted.get("keyframes_asked", 0),
                keyframes_sent=counted.get("keyframes_sent", 0),
                revision=revision,
                level=level,
                paused=paused,
                stages={stage: _percentiles(times, now_ns) for stage, times in self._times.items()},
            )


def _percentiles(times: deque[tuple[int, float]], now_ns: int) -> StageTime:
    recent = [took for at, took in times if now_ns - at < WINDOW_NS]
    if not recent:
        return StageTime()
    p50, p95 = np.percentile(recent, (50, 95))
    return StageTime(round(float(p50), 2), round(float(p95), 2))

"""What is said of one session: the `stats` message and the facts for operators. Only measured numbers."""

from __future__ import annotations

import time
from collections import deque

import msgspec

from gpu.models.base import EditModel
from gpu.stats import PipelineStats, StageTime
from server import protocol
from server.peer import PeerStats

WINDOW_NS = 1_000_000_000
MAX_SAMPLES = 256  # of one second, far beyond any camera's rate


class SessionFacts(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """One session for operators. It has no address: who knows that may end the session."""

    state: str
    model: str
    codec: str
    age_s: float
    width: int
    height: int
    fps_out: float
    bitrate_in_bps: int
    bitrate_out_bps: int
    revision: int
    paused: bool


class SessionMeter:
    """Latency from a frame's last packet in to its edited frame at the peer, over the last second."""

    def __init__(self) -> None:
        self._latencies: deque[tuple[int, float]] = deque(maxlen=MAX_SAMPLES)

    def frame_out(self, latency_s: float) -> None:
        self._latencies.append((time.monotonic_ns(), latency_s * 1e3))

    def latency(self) -> protocol.Latency:
        now_ns = time.monotonic_ns()
        recent = sorted(ms for at_ns, ms in self._latencies if now_ns - at_ns < WINDOW_NS)
        if not recent:
            return protocol.Latency(p50_ms=0.0, p95_ms=0.0)
        return protocol.Latency(
            p50_ms=round(recent[len(recent) // 2], 2), p95_ms=round(recent[int(len(recent) * 0.95)], 2)
        )

    def message(
        self, model: EditModel, pipeline: PipelineStats, peer: PeerStats, revision: int, uptime_s: float
    ) -> protocol.Stats:
        stages = pipeline.stages
        return protocol.Stats(
            fps_in=pipeline.fps_in,
            fps_out=pipeline.fps_out,
            width=pipeline.width,
            height=pipeline.height,
            bitrate_bps=peer.bitrate_out_bps,
            latency=self.latency(),
            decode=_stage(stages.get("decode")),
            edit=_stage(stages.get("edit")),
            encode=_stage(stages.get("encode")),
            dropped=pipeline.dropped + peer.frames_dropped + peer.frames_unsent,
            model=model.spec.name,
            device=model.device,
            decoder=pipeline.decoder,
            encoder=pipeline.encoder,
            codec=peer.codec_in or "",
            revision=max(revision, 0),
            uptime_s=round(uptime_s, 1),
        )


def _stage(time_: StageTime | None) -> protocol.Latency:
    if time_ is None:
        return protocol.Latency(p50_ms=0.0, p95_ms=0.0)
    return protocol.Latency(p50_ms=time_.p50_ms, p95_ms=time_.p95_ms)

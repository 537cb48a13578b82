"""What one viewer of a stream costs its server, and what many do: CPU by thread, pictures made and sent."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import percentile
from bench.live_server import LiveServer, grown
from bench.named import cpu_by_name, cpu_of
from bench.processes import ClientProcess

ENCODER = "relens-encode"
MOST_ENCODER = 1.1  # asked: the encoder's CPU does not grow; a tenth is the measurement's own unrest
SETTLING_S = 1.5  # who comes asks for a keyframe, and that costs the encoder
_COME_S = 60.0


@dataclass(frozen=True, slots=True)
class Round:
    """Of so many viewers; CPU as milliseconds a picture encoded."""

    viewers: int
    encoder_ms: float
    server_ms: float
    server_share: float  # of one core
    fps_encoded: float
    fanned: float  # pictures handed to viewers for each that was encoded
    fps_least: float  # at the viewer worst off
    bitrate_bps: float


async def measure(
    server: LiveServer, stream: str, crowd: ClientProcess, viewers: int, seconds: float
) -> Round:
    """Raises BenchError."""
    await crowd.do("become", count=viewers)
    await crowd.expect("watching", _COME_S)
    await asyncio.sleep(SETTLING_S)
    before, frames, cpu = await server.metrics(), await _frames(crowd), _cpu(server.pid)
    began_s = time.monotonic()
    await asyncio.sleep(seconds)
    spent = _cpu(server.pid)
    span_s = time.monotonic() - began_s
    after, frames_then = await server.metrics(), await _frames(crowd)
    encoded = grown(before, after, "relens_frames_out_total")
    facts = await server.facts(stream)
    each_ms = 1000 / encoded if encoded else math.nan
    return Round(
        viewers,
        encoder_ms=(spent[0] - cpu[0]) * each_ms,
        server_ms=(spent[1] - cpu[1]) * each_ms,
        server_share=(spent[1] - cpu[1]) / span_s,
        fps_encoded=encoded / span_s,
        fanned=grown(before, after, "relens_stream_frames_fanned_out_total") / encoded if encoded else 0.0,
        fps_least=min(b - a for a, b in zip(frames, frames_then, strict=True)) / span_s,
        bitrate_bps=float(facts["bitrateOutBps"]),
    )


def _cpu(pid: int) -> tuple[float, float]:
    """Seconds of (the encoder's threads, everything)."""
    return cpu_by_name(pid).get(ENCODER, 0.0), cpu_of(pid)


async def _frames(crowd: ClientProcess) -> list[int]:
    await crowd.do("count")
    return list((await crowd.expect("counted", 10))["frames"])


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """The median round of one number of viewers, and each round's encoder."""

    def median(name: str) -> float:
        return percentile([getattr(each, name) for each in rounds], 0.5)

    return {
        "viewers": rounds[0].viewers,
        "encoderMsAFrame": round(median("encoder_ms"), 2),
        "encoderByRound": [round(each.encoder_ms, 2) for each in rounds],
        "serverMsAFrame": round(median("server_ms"), 2),
        "serverPercent": round(100 * median("server_share")),
        "fpsEncoded": round(median("fps_encoded"), 2),
        "fannedOut": round(median("fanned"), 2),
        "fpsLeast": round(min(each.fps_least for each in rounds), 2),
        "bitrateBps": round(median("bitrate_bps")),
    }


def growth(one: Sequence[Round], many: Sequence[Round]) -> float:
    """How often the encoder costs with many what it costs with one: the median of the rounds' own ratios."""
    return percentile([b.encoder_ms / a.encoder_ms for a, b in zip(one, many, strict=True)], 0.5)

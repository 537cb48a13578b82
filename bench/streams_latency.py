"""From a picture handed to RTMP to its edited picture decoded at a viewer, by numbers in them."""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.client import ClientReport
from bench.figures import percentile, spread
from bench.live_server import LiveServer, grown
from bench.processes import ClientProcess

OVER_MODEL_MS = 250.0  # asked: p50 at the viewer, less the model's time, on loopback
_EDIT = 'relens_stage_median_seconds_{}{{stage="edit"}}'
_BEHIND_S = 1.0  # pictures sent inside the window may come that much later


@dataclass(slots=True)
class Round:
    """One case in one round; ms."""

    latency_ms: list[float] = field(default_factory=list)
    unread: int = 0  # shown, but the number did not survive
    sent: int = 0
    edit_ms: float = math.nan  # the model: mean of each second's median
    first_ms: list[float] = field(default_factory=list)  # late viewers: connected to first picture decoded
    server_ms: list[float] = field(default_factory=list)  # what the stream says it adds, each second's p50


async def measure(
    server: LiveServer, stream: str, camera: ClientProcess, crowd: ClientProcess, seconds: float
) -> Round:
    """Of a stream that is live and watched. Raises BenchError."""
    out = Round()
    before, start_ns = await server.metrics(), time.monotonic_ns()
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left_s))
        out.server_ms.append(float((await server.facts(stream))["latency"]["p50Ms"]))
    end_ns, after = time.monotonic_ns(), await server.metrics()
    await asyncio.sleep(_BEHIND_S)
    shown, sent = await crowd.stop(), await camera.stop()
    out.latency_ms, out.unread = latencies(sent, shown, (start_ns, end_ns))
    out.sent = sum(start_ns <= at < end_ns for _, _, at in sent.sent)
    if seconds_told := grown(before, after, _EDIT.format("count")):
        out.edit_ms = 1000 * grown(before, after, _EDIT.format("sum")) / seconds_told
    return out


def latencies(sent: ClientReport, shown: ClientReport, window: tuple[int, int]) -> tuple[list[float], int]:
    """(ms of each picture sent in the window and seen, how many that were shown in it could not be read).

    Numbers come again with each turn of the loop: meant is the newest that was sent before it was seen."""
    start_ns, end_ns = window
    times: defaultdict[int, list[int]] = defaultdict(list)
    for number, _, at in sent.sent:
        times[number].append(at)
    found: dict[int, float] = {}
    unread = 0
    for _, number, seen_ns in shown.shown:
        turn = bisect_right(times[number], seen_ns) - 1 if number in times else -1
        if turn < 0:
            unread += start_ns <= seen_ns < end_ns
            continue
        sent_ns = times[number][turn]
        if start_ns <= sent_ns < end_ns:
            found.setdefault(sent_ns, (seen_ns - sent_ns) / 1e6)
    return list(found.values()), unread


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """All rounds' pictures together, and each round's median so that drift shows."""
    every = [ms for each in rounds for ms in each.latency_ms]
    edit_ms = percentile([each.edit_ms for each in rounds if not math.isnan(each.edit_ms)], 0.5)
    p50 = percentile(every, 0.5)
    sent = sum(each.sent for each in rounds)
    return {
        "latencyMs": spread(every),
        "p50ByRound": [round(percentile(each.latency_ms, 0.5), 1) for each in rounds],
        "editMs": round(edit_ms, 2),
        "overModelMs": round(p50 - edit_ms, 2),
        "serverMs": round(percentile([ms for each in rounds for ms in each.server_ms], 0.5), 2),
        "firstMs": spread([ms for each in rounds for ms in each.first_ms]),
        "sent": sent,
        "seenShare": round(len(every) / sent, 3) if sent else math.nan,
        "unread": sum(each.unread for each in rounds),
        "meets": p50 - edit_ms <= OVER_MODEL_MS if every else None,
    }

"""`python -m bench receive`: the jitter buffer alone on a path that loses, in virtual time. No machine in it.

A modelled sender, the path of tests.relay both ways, the server's real JitterBuffer: what it asks
for, what it is sent again, what it hands up when. The same on every machine, and an hour takes seconds.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench.figures import Progress, json_line, percentile, table
from bench.machine import describe
from gpu.types import Codec
from server.peer.jitter import JitterBuffer
from tests.relay import Link, Path

_FRAME_PACKETS, _KEYFRAME_PACKETS = 5, 20  # 1 Mbit/s at 24 fps
_PACKET_BYTES, _FEEDBACK_BYTES = 1100, 60
_SPACING_S = 0.0002
_ANSWER_S = 0.002  # an end's time to act on a packet
_FPS = 24


class Marked:
    """A payload format whose payloads say only: of a keyframe or not, first of their frame or not."""

    codec: Codec = "h264"

    def unpack(self, payloads: list[bytes]) -> tuple[bytes, bool]:
        return b"".join(payloads), payloads[0][0] == 1

    def starts_keyframe(self, payload: bytes) -> bool:
        return payload[:2] == b"\x01\x01"


@dataclass(slots=True)
class Received:
    shown_s: list[float] = field(default_factory=list)
    keyframes: int = 0
    nacks: int = 0


class Simulation:
    """One stream in virtual time. `again_after_s`: a sender does not repeat a packet sooner, as Chromium's
    (one round trip); 0: at every request, as aiortc."""

    def __init__(self, path: Path, seed: int, again_after_s: float, rtt_s: float) -> None:
        self.received = Received()
        self._up, self._down = Link(path, seed * 2), Link(path, seed * 2 + 1)
        self._buffer = JitterBuffer(Marked())  # type: ignore[arg-type]  # it asks a format for these two only
        self._buffer.set_rtt(rtt_s)
        self._again_after_s = again_after_s
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._sent: dict[int, tuple[int, int, bool, bytes]] = {}
        self._again_s: dict[int, float] = {}
        self._sequence, self._wanted = 1000, True
        self._due_s = 0.0

    def run(self, seconds: float) -> Received:
        self._at(0.0, self._frame, 0)
        while self._events and self._events[0][0] <= seconds:
            now, _, act, arguments = heapq.heappop(self._events)
            act(now, *arguments)
        return self.received

    def _at(self, when_s: float | None, act: Callable[..., None], *arguments: Any) -> None:
        if when_s is not None:
            heapq.heappush(self._events, (when_s, next(self._order), act, arguments))

    def _frame(self, now: float, number: int) -> None:
        key, self._wanted = self._wanted, False
        self.received.keyframes += key
        count = _KEYFRAME_PACKETS if key else _FRAME_PACKETS
        for i in range(count):
            packet = (self._sequence, number * 3750, i == count - 1, bytes([key, i == 0]))
            self._sent[self._sequence] = packet
            self._sent.pop((self._sequence - 2000) & 0xFFFF, None)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._at(now + i * _SPACING_S, self._send, packet, False)
        self._at(now + 1 / _FPS, self._frame, number + 1)

    def _send(self, now: float, packet: tuple[int, int, bool, bytes], again: bool) -> None:
        self._at(self._up.plan(_PACKET_BYTES, now), self._arrive, packet, again)

    def _arrive(self, now: float, packet: tuple[int, int, bool, bytes], again: bool) -> None:
        self._buffer.add(*packet, now, again)
        self._poll(now)

    def _poll(self, now: float) -> None:
        out = self._buffer.poll(now)
        self.received.shown_s += [now] * len(out.frames)
        if out.nacks:
            self.received.nacks += len(out.nacks)
            self._at(self._down.plan(_FEEDBACK_BYTES, now + _ANSWER_S), self._repeat, tuple(out.nacks))
        if out.pli:
            self._at(self._down.plan(_FEEDBACK_BYTES, now + _ANSWER_S), self._want)
        due = self._buffer.next_deadline()
        if due is not None:
            self._due_s = max(due, now + 0.001)
            self._at(self._due_s, self._tick, self._due_s)

    def _tick(self, now: float, due_s: float) -> None:
        if due_s == self._due_s:
            self._poll(now)

    def _repeat(self, now: float, sequences: tuple[int, ...]) -> None:
        for sequence in sequences:
            packet = self._sent.get(sequence)
            if packet is not None and now - self._again_s.get(sequence, -1.0) >= self._again_after_s:
                self._again_s[sequence] = now
                self._at(now + _ANSWER_S, self._send, packet, True)

    def _want(self, _now: float) -> None:
        self._wanted = True


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=600.0, help="of virtual time for each case and seed")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--jitter", type=float, default=40.0)
    parser.add_argument("--rtt", type=float, default=75.0, help="ms, what the buffer is told")


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    results: dict[str, Any] = {}
    kinds = [
        (f"{sender}, {order}", again, reorder)
        for sender, again in (("aiortc", 0.0), ("chromium", args.rtt / 1e3))
        for order, reorder in (("in order", 0.0), ("overtaking", 1.0))
    ]
    progress = Progress(len(kinds), "receive")
    for number, (name, again, reorder) in enumerate(kinds):
        path = Path(args.loss, 0.0, args.jitter, reorder)
        seen = [
            Simulation(path, s, again, args.rtt / 1e3).run(args.seconds) for s in range(1, args.seeds + 1)
        ]
        gaps = [(b - a) * 1e3 for one in seen for a, b in pairwise(one.shown_s)]
        minutes = args.seconds * args.seeds / 60
        results[name] = {
            "freezeMs": round(max(gaps), 1),
            "gapP999Ms": round(percentile(gaps, 0.999), 1),
            "freezesOver400": sum(gap > 400 for gap in gaps),
            "fps": round(sum(len(one.shown_s) for one in seen) / (args.seconds * args.seeds), 2),
            "keyframesPerMinute": round(sum(one.keyframes for one in seen) / minutes, 1),
            "nacksPerMinute": round(sum(one.nacks for one in seen) / minutes),
        }
        progress.show(number + 1, name)
    keys = ("freezeMs", "gapP999Ms", "freezesOver400", "fps", "keyframesPerMinute", "nacksPerMinute")
    print(table(["sender, path", *keys], [[name, *(r[k] for k in keys)] for name, r in results.items()]))
    result = {
        "bench": "receive",
        "machine": machine,
        "virtualSeconds": args.seconds * args.seeds,
        "cases": results,
    }
    print(json_line(result))
    return result

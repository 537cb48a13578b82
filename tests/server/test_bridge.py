"""From pipeline threads to the loop: order, bounds, and nothing after the close."""

from __future__ import annotations

import asyncio
import threading

from gpu.errors import ModelError, RelensError
from gpu.types import EncodedFrame
from server.bridge import MAX_EVENTS, MAX_FRAMES, LoopBridge


class Heard:
    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.events: list[tuple[str, object]] = []

    def _hear(self, kind: str, value: object) -> None:
        assert threading.get_ident() == self.thread
        self.events.append((kind, value))

    def on_edited(self, frame: EncodedFrame) -> None:
        self._hear("frame", frame.pts)

    def on_applied(self, revision: int, pts: int) -> None:
        self._hear("applied", (revision, pts))

    def on_source_keyframe_needed(self) -> None:
        self._hear("keyframe", None)

    def on_degraded(self, level: int, message: str) -> None:
        self._hear("degraded", level)

    def on_error(self, exc: RelensError) -> None:
        self._hear("error", exc)

    def on_frames_lost(self, count: int) -> None:
        self._hear("lost", count)

    def of(self, kind: str) -> list[object]:
        return [value for what, value in self.events if what == kind]


def frame(pts: int, key: bool = False) -> EncodedFrame:
    return EncodedFrame(b"x", pts, key)


async def in_a_thread(work: object) -> None:
    await asyncio.to_thread(work)  # type: ignore[arg-type]
    await asyncio.sleep(0)


async def test_everything_arrives_on_the_loop_in_order() -> None:
    heard = Heard()
    bridge = LoopBridge(asyncio.get_running_loop(), heard)
    error = ModelError("x")

    def work() -> None:
        for i in range(5):
            bridge.on_frame(frame(i))
        bridge.on_applied(1, 4)
        bridge.on_keyframe_needed()
        bridge.on_keyframe_needed()
        bridge.on_degraded(1, "busy")
        bridge.on_degraded(2, "busier")
        bridge.on_error(error)

    await in_a_thread(work)
    await asyncio.sleep(0.01)
    assert heard.of("frame") == [0, 1, 2, 3, 4]
    assert heard.of("applied") == [(1, 4)]
    assert len(heard.of("keyframe")) >= 1
    assert heard.of("degraded")[-1] == 2
    assert heard.of("error") == [error]


async def test_late_loop_loses_frames_down_to_a_keyframe_and_is_told_how_many() -> None:
    heard = Heard()
    bridge = LoopBridge(asyncio.get_running_loop(), heard)
    for i in range(MAX_FRAMES + 3):  # from the loop's own thread: it cannot come round meanwhile
        bridge.on_frame(frame(i))
    bridge.on_frame(frame(1_000, key=True))
    bridge.on_frame(frame(1_001))
    await asyncio.sleep(0.01)
    assert heard.of("frame") == [1_000, 1_001]
    assert heard.of("lost") == [MAX_FRAMES + 3]


async def test_after_a_loss_nothing_is_sent_before_a_keyframe() -> None:
    heard = Heard()
    bridge = LoopBridge(asyncio.get_running_loop(), heard)
    for i in range(MAX_FRAMES + 1):
        bridge.on_frame(frame(i))
    await asyncio.sleep(0.01)
    bridge.on_frame(frame(100))
    await asyncio.sleep(0.01)
    assert heard.of("frame") == []
    bridge.on_frame(frame(101, key=True))
    await asyncio.sleep(0.01)
    assert heard.of("frame") == [101]


async def test_events_are_bounded_and_one_wake_up_carries_them_all() -> None:
    heard = Heard()
    loop = asyncio.get_running_loop()
    wakes = 0

    class Loop:
        def call_soon_threadsafe(self, call: object) -> None:
            nonlocal wakes
            wakes += 1
            loop.call_soon_threadsafe(call)  # type: ignore[arg-type]

    bridge = LoopBridge(Loop(), heard)  # type: ignore[arg-type]
    for i in range(2 * MAX_EVENTS):
        bridge.on_applied(i, i)
    await asyncio.sleep(0.01)
    assert wakes == 1
    assert len(heard.of("applied")) == MAX_EVENTS
    assert heard.of("applied")[-1] == (2 * MAX_EVENTS - 1, 2 * MAX_EVENTS - 1)


async def test_nothing_comes_after_the_close_and_a_closed_loop_is_no_error() -> None:
    heard = Heard()
    bridge = LoopBridge(asyncio.get_running_loop(), heard)
    bridge.on_frame(frame(1))
    bridge.close()
    bridge.on_frame(frame(2))
    await asyncio.sleep(0.01)
    assert heard.events == []
    other = asyncio.new_event_loop()
    other.close()
    LoopBridge(other, heard).on_applied(1, 1)

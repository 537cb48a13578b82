"""Viewers of one stream: what they begin with, what one costs the others, when keyframes are asked for."""

from __future__ import annotations

import asyncio
import time

import pytest

from gpu.types import EncodedFrame
from server.peer.types import EncodedAudio
from server.streams.fanout import KEYFRAME_EVERY_S, PUSH_KEYFRAME_TICKS, Fanout
from server.streams.types import Viewer, ViewerKind
from tests.server.streams.stream_parts import Watcher, until

FRAME = 3000


class Room:
    def __init__(self) -> None:
        self.forced: list[float] = []
        self.failed: list[Viewer] = []
        self.sent = 0
        self.fanout = Fanout(lambda: self.forced.append(time.monotonic()), self.failed.append, self._count)
        self._number = 0

    def _count(self, frames: int) -> None:
        self.sent += frames

    def frame(self, key: bool = False) -> EncodedFrame:
        self._number += 1
        frame = EncodedFrame(b"x", self._number * FRAME, key)
        self.fanout.video(frame)
        return frame


async def test_a_viewer_begins_at_a_keyframe_that_is_asked_for() -> None:
    room, viewer = Room(), Watcher()
    room.fanout.add(viewer)
    assert len(room.forced) == 1
    room.frame()
    room.fanout.audio(EncodedAudio(b"a", 0))
    assert (viewer.frames, viewer.sounds) == ([], [])
    frames = [room.frame(key=True), room.frame()]
    room.fanout.audio(EncodedAudio(b"a", 0))
    assert [id(frame) for frame in viewer.frames] == [id(frame) for frame in frames]
    assert len(viewer.sounds) == 1


async def test_who_comes_soon_after_a_keyframe_is_sent_it_at_once() -> None:
    room, viewer = Room(), Watcher()
    frames = [room.frame(key=True), *(room.frame() for _ in range(5))]
    room.fanout.add(viewer)
    assert viewer.frames == frames
    assert room.forced == []
    assert viewer.frames[-1] is frames[-1]
    room.frame()
    assert len(viewer.frames) == 7
    assert room.sent == 7


async def test_who_is_not_ready_is_sent_nothing_until_it_wants_a_keyframe() -> None:
    room, soon, late = Room(), Watcher(), Watcher()
    for viewer in (soon, late):
        room.fanout.add(viewer, ready=False)
    frames = [room.frame(key=True), room.frame()]
    assert (soon.frames, room.forced) == ([], [])
    room.fanout.want_keyframe(soon)
    assert soon.frames == frames, "from the last keyframe on, which was a moment ago"
    for _ in range(20):
        room.frame()
    assert (len(soon.frames), late.frames, room.forced) == (22, [], [])
    room.fanout.want_keyframe(late)
    assert len(room.forced) == 1, "it was too long ago"
    room.frame()
    room.frame(key=True)
    assert len(late.frames) == 1


async def test_many_wishes_are_one_keyframe_and_none_is_forgotten() -> None:
    room = Room()
    viewers = [Watcher() for _ in range(20)]
    for viewer in viewers:
        room.fanout.add(viewer)
    assert len(room.forced) == 1
    await until(lambda: len(room.forced) == 2)
    assert room.forced[1] - room.forced[0] > KEYFRAME_EVERY_S * 0.9
    room.frame(key=True)
    for viewer in viewers:
        room.fanout.want_keyframe(viewer)
    await until(lambda: len(room.forced) == 3)


async def test_a_keyframe_that_came_meanwhile_is_what_was_wished_for() -> None:
    room, viewer = Room(), Watcher()
    room.fanout.add(viewer)
    room.fanout.lost()
    room.frame(key=True)
    await asyncio.sleep(KEYFRAME_EVERY_S * 1.2)
    assert len(room.forced) == 1


async def test_a_viewer_that_fails_is_let_go_and_disturbs_nobody() -> None:
    room, bad, good = Room(), Watcher(broken=True), Watcher()
    room.frame(key=True)
    room.fanout.add(good)
    room.fanout.add(bad)
    assert bad not in room.fanout
    assert bad.ends[0][0] == "viewer-failed"
    assert room.failed == [bad]
    room.frame()
    assert len(good.frames) == 2


async def test_a_viewer_may_leave_while_it_is_sent_to() -> None:
    room, other = Room(), Watcher()

    class Leaver(Watcher):
        def send_video(self, frame: EncodedFrame) -> None:
            room.fanout.remove(self)

    room.fanout.add(Leaver())
    room.fanout.add(other)
    room.frame(key=True)
    room.frame()
    assert len(other.frames) == 2
    assert len(room.fanout) == 1


async def test_times_never_go_back_and_what_follows_begins_at_a_keyframe() -> None:
    room, viewer = Room(), Watcher()
    room.frame(key=True)
    room.fanout.add(viewer)
    room.fanout.video(EncodedFrame(b"x", 0, True))
    room.frame()
    assert len(viewer.frames) == 1
    assert len(room.forced) == 1
    room.frame(key=True)
    room.frame()
    assert [frame.pts for frame in viewer.frames] == [FRAME, 3 * FRAME, 4 * FRAME]


@pytest.mark.parametrize("kind", ["push", "rtmp"])
async def test_who_cannot_ask_for_keyframes_gets_them(kind: ViewerKind) -> None:
    room = Room()
    room.frame(key=True)
    room.fanout.add(Watcher(kind))
    for _ in range(PUSH_KEYFRAME_TICKS // FRAME + 1):
        room.frame()
    assert len(room.forced) == 1


async def test_the_encoder_follows_the_viewer_that_is_best_off() -> None:
    room, slow, fast, push = Room(), Watcher(), Watcher(), Watcher("push")
    assert room.fanout.best_bps() is None
    for viewer in (slow, fast):
        room.fanout.add(viewer)
    assert room.fanout.best_bps() is None
    room.fanout.rate(slow, 300_000)
    assert room.fanout.best_bps() == 300_000
    room.fanout.rate(fast, 2_000_000)
    assert room.fanout.best_bps() == 2_000_000
    room.fanout.add(push)
    assert room.fanout.best_bps() is None, "a push is bound by no estimate"
    room.fanout.remove(push)
    room.fanout.remove(fast)
    assert room.fanout.best_bps() == 300_000
    room.fanout.rate(fast, 9)
    assert len(room.fanout) == 1

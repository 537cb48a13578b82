"""A slow target loses pictures down to a keyframe, and goes on from one once it has caught up."""

from __future__ import annotations

from server.push.backlog import MOST_BYTES, MOST_TICKS, Backlog

FRAME = 3000


def begun() -> Backlog:
    backlog = Backlog()
    backlog.begin(0)
    return backlog


def test_a_target_that_keeps_up_gets_everything() -> None:
    backlog = begun()
    for number in range(1, 500):
        assert backlog.video(number * FRAME, False, 0)
        backlog.written(number * FRAME)
    assert backlog.dropped == 0


def test_one_that_writes_late_waits_for_a_keyframe() -> None:
    backlog = begun()
    pts = 0
    while backlog.video(pts := pts + FRAME, False, 0):
        pass
    assert MOST_TICKS < pts <= MOST_TICKS + 2 * FRAME
    assert not backlog.video(pts + FRAME, True, 0)  # it has not caught up
    assert not backlog.wants_keyframe
    backlog.written(pts - FRAME)
    assert not backlog.video(pts + 2 * FRAME, False, 0)  # no keyframe
    assert backlog.wants_keyframe
    assert backlog.video(pts + 3 * FRAME, True, 0)
    assert not backlog.wants_keyframe
    assert backlog.video(pts + 4 * FRAME, False, 0)
    assert backlog.dropped == 3


def test_bytes_count_as_well() -> None:
    backlog = begun()
    assert not backlog.video(FRAME, True, MOST_BYTES + 1)
    assert not backlog.video(2 * FRAME, True, MOST_BYTES // 2)
    assert backlog.video(3 * FRAME, True, 0)

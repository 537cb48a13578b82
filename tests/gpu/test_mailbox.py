"""The bounded queues."""

from __future__ import annotations

import threading

from gpu.mailbox import EncodedQueue, Mailbox, Outbox
from gpu.types import EncodedFrame


def frame(pts: int, keyframe: bool = False) -> EncodedFrame:
    return EncodedFrame(b"x", pts, keyframe)


def test_live_mailbox_keeps_the_newest() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.take() == []
    assert [box.put(i) for i in (1, 2, 3)] == [0, 1, 1]
    assert box.take() == [3]
    assert not box.full


def test_live_mailbox_hands_out_whole_chunks_in_order() -> None:
    box: Mailbox[int] = Mailbox(4)
    lost = [box.put(i) for i in range(3)]
    assert box.take() == []
    lost += [box.put(i) for i in range(3, 6)]
    assert lost == [0, 0, 0, 0, 1, 1]
    assert box.take() == [2, 3, 4, 5]


def test_what_is_spare_waits_beside_the_chunk() -> None:
    box: Mailbox[int] = Mailbox(4, spare=2)
    assert [box.put(i) for i in range(8)] == [0] * 6 + [1, 1]
    assert box.take() == [2, 3, 4, 5]
    assert not box.full
    assert box.peek() == 6
    box.put(8)
    box.put(9)
    assert box.take() == [6, 7, 8, 9]


def test_ordered_mailbox_waits_and_loses_nothing() -> None:
    box: Mailbox[int] = Mailbox(1, newest_wins=False)
    taken: list[int] = []

    def put() -> None:
        for i in range(50):
            while box.put(i, 1.0):
                pass

    thread = threading.Thread(target=put)
    thread.start()
    while len(taken) < 50:
        taken += box.take()
    thread.join(5)
    assert taken == list(range(50))
    box.put(1)
    assert box.put(2, 0.01) == 1, "no room in time: the newcomer is lost, and said to be"
    assert box.take() == [1]


def test_closing_wakes_who_waits() -> None:
    box: Mailbox[int] = Mailbox(1, newest_wins=False)
    box.put(1)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(box.put(2, 30)))
    thread.start()
    box.close()
    thread.join(5)
    assert results == [1]
    assert box.take() == []


def test_encoded_queue_overflow_flushes_down_to_a_keyframe() -> None:
    queue = EncodedQueue(3)
    assert [queue.put(frame(i, i == 0)) for i in range(3)] == [0, 0, 0]
    assert queue.put(frame(3)) == 4, "the three that waited and the newcomer that needs them"
    assert queue.put(frame(4)) == 1
    assert queue.get(0) is None
    assert queue.put(frame(5, True)) == 0
    assert queue.put(frame(6)) == 0
    assert [got.pts for got in (queue.get(0), queue.get(0)) if got] == [5, 6]


def test_encoded_queue_overflow_by_a_keyframe_goes_on_at_once() -> None:
    queue = EncodedQueue(2)
    queue.put(frame(0, True))
    queue.put(frame(1))
    assert queue.put(frame(2, True)) == 2
    got = queue.get(0)
    assert got is not None
    assert got.pts == 2


def test_encoded_queue_room_and_close() -> None:
    queue = EncodedQueue(1)
    assert queue.wait_for_room(0)
    queue.put(frame(0, True))
    assert not queue.wait_for_room(0.01)
    queue.close()
    assert not queue.wait_for_room(0.01)
    assert queue.get(0) is None
    assert queue.put(frame(1, True)) == 0


def test_outbox_says_whether_there_is_room() -> None:
    box: Outbox[int] = Outbox(4)
    assert box.has_room(4)
    box.put([1, 2, 3])
    assert not box.has_room(2)
    assert box.get(0) == 1
    assert box.has_room(2)
    box.close()
    assert box.get(0) is None
    box.put([9])
    assert box.get(0) is None

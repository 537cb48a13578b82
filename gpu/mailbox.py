"""The bounded queues of a stream: before decode, before the edit, before encode. Know nothing of codecs."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from gpu.types import EncodedFrame

T = TypeVar("T")


class _Box(Generic[T]):
    """What the queues share: items, a bound, an end."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._closed = False
        self._changed = threading.Condition()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class Mailbox(_Box[T]):
    """Hands out `capacity` items at a time, in order, and holds at most `spare` more: what comes in a burst
    before the chunk is taken is not lost.

    Live (`newest_wins`): `put` never waits and pushes the oldest out. In order: `put` waits for room.
    """

    def __init__(self, capacity: int = 1, newest_wins: bool = True, spare: int = 0) -> None:
        super().__init__(capacity)
        self._most = capacity + spare
        self._newest_wins = newest_wins

    def put(self, item: T, timeout_s: float = 0.0) -> int:
        """Add an item. Returns how many were lost: pushed out, or 1 when `item` found no room."""
        with self._changed:
            if not self._newest_wins:
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._most, timeout_s)
                if len(self._items) >= self._most:
                    return 1
            if self._closed:
                return 1
            self._items.append(item)
            lost = max(0, len(self._items) - self._most)
            for _ in range(lost):
                self._items.popleft()
            return lost

    @property
    def full(self) -> bool:
        """True when `take` would hand out a chunk."""
        with self._changed:
            return len(self._items) >= self._capacity

    def peek(self) -> T | None:
        """The oldest item, left where it is."""
        with self._changed:
            return self._items[0] if self._items else None

    def take(self) -> list[T]:
        """A whole chunk, oldest first; [] while it is not complete. Never waits."""
        with self._changed:
            if len(self._items) < self._capacity:
                return []
            items = [self._items.popleft() for _ in range(self._capacity)]
            self._changed.notify_all()
            return items

    def clear(self) -> int:
        """Throw everything away; returns how many that were."""
        with self._changed:
            lost = len(self._items)
            self._items.clear()
            self._changed.notify_all()
            return lost


class _Waited(_Box[T]):
    """Its items are taken one by one, by someone who waits for them."""

    def get(self, timeout_s: float) -> T | None:
        """The oldest item, or None after `timeout_s` or once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items), timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item


class EncodedQueue(_Waited[EncodedFrame]):
    """Encoded frames in order. They need each other: on overflow all go, until a keyframe."""

    def __init__(self, capacity: int = 30) -> None:
        super().__init__(capacity)
        self._needs_keyframe = False

    def put(self, frame: EncodedFrame) -> int:
        """Add a frame without waiting. Returns how many were lost: > 0 means the sender owes a keyframe."""
        with self._changed:
            if self._closed:
                return 0
            lost = 0
            if len(self._items) >= self._capacity:
                lost = len(self._items)
                self._items.clear()
                self._needs_keyframe = True
            if self._needs_keyframe and not frame.is_keyframe:
                return lost + 1
            self._needs_keyframe = False
            self._items.append(frame)
            self._changed.notify()
            return lost

    def wait_for_room(self, timeout_s: float) -> bool:
        """True once `put` would lose nothing (files: back-pressure)."""
        with self._changed:
            return (
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity, timeout_s)
                and not self._closed
            )

    def flush(self) -> int:
        """Throw everything away and let only a keyframe start again; returns how many frames were lost."""
        with self._changed:
            lost = len(self._items)
            self._items.clear()
            self._needs_keyframe = True
            self._changed.notify_all()
            return lost


class Outbox(_Waited[T]):
    """Edited pictures for the encoder. The worker asks for room first: it never waits or loses."""

    def has_room(self, count: int) -> bool:
        with self._changed:
            return len(self._items) + count <= self._capacity

    def put(self, items: list[T]) -> None:
        with self._changed:
            if not self._closed:
                self._items.extend(items)
                self._changed.notify()

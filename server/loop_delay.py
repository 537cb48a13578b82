"""Measures how late the event loop runs what is due. Knows nothing of what makes it late."""

from __future__ import annotations

import asyncio
import time
from collections import deque

INTERVAL_S = 0.02
WINDOW = 3_000  # samples kept: one minute


class LoopDelay:
    """Sleeps a known time, over and over, and keeps by how much each sleep was overrun."""

    def __init__(self) -> None:
        self._late_s: deque[float] = deque(maxlen=WINDOW)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._sample(), name="loop-delay")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=1)

    def quantile_s(self, q: float) -> float:
        """The delay that a share `q` (0..1) of the last minute's samples stayed under; 0 without samples."""
        if not self._late_s:
            return 0.0
        ordered = sorted(self._late_s)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    async def _sample(self) -> None:
        while True:
            due_s = time.monotonic() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self._late_s.append(max(0.0, time.monotonic() - due_s))

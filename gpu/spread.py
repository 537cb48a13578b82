"""When the pictures of a chunk are due that a model gave all at once: as far apart as they came. Pure.

Sent together they would reach a browser as one burst each chunk; its jitter buffer would take the burst for a
bad network and hold everything back for longer than this does. The first is due at once, so nothing is later
than the first was, and all are as late as it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpu.types import CLOCK_HZ

MOST_GAP_NS = 200_000_000  # between two; a source that stood still must not make its pictures wait


def due_ns(pts: Sequence[int], now_ns: int) -> list[int]:
    """pts: of a chunk in order, 90 kHz; now_ns: when it was ready -> when each may leave."""
    made = [now_ns] * len(pts)
    for i in range(1, len(pts)):
        gap_ns = (pts[i] - pts[i - 1]) * 1_000_000_000 // CLOCK_HZ
        made[i] = made[i - 1] + min(max(gap_ns, 0), MOST_GAP_NS)
    return made

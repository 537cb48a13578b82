"""How often one viewer may ask for a keyframe. Pure; time is an argument.

A keyframe costs all viewers of a stream quality, and whoever has a bad network needs many. So the first ones
come at once, and who goes on asking waits longer each time.
"""

from __future__ import annotations

LEAST_S, MOST_S = 0.5, 4.0
CALM_S = 10.0  # without a wish, the patience asked of it is forgotten


class KeyframeWishes:
    """Of one viewer."""

    def __init__(self) -> None:
        self._interval_s = LEAST_S
        self._granted_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Of a wish made now: 0, or how long until it is granted."""
        if self._granted_s is None or now_s - self._granted_s > CALM_S:
            return 0.0
        return max(0.0, self._granted_s + self._interval_s - now_s)

    def grant(self, now_s: float) -> None:
        """A wish is passed on; the next one has to wait twice as long, if it comes soon."""
        before = self._granted_s
        soon = before is not None and now_s - before < 2 * self._interval_s
        calm = before is None or now_s - before > CALM_S
        self._interval_s = (
            LEAST_S if calm else min(self._interval_s * 2, MOST_S) if soon else self._interval_s
        )
        self._granted_s = now_s

"""How long what failed is left alone: longer each time, with chance in it. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable

Chance = Callable[[float, float], float]
_LEAST_SHARE = 0.75  # of the wait: who failed together does not come back together


class Backoff:
    """Of one that is tried again. Seconds."""

    def __init__(self, first_s: float, most_s: float, good_s: float, chance: Chance = random.uniform) -> None:
        """`good_s`: of good running, after which a failure counts as the first again."""
        self._first_s, self._most_s, self._good_s = first_s, most_s, good_s
        self._chance = chance
        self.failures = 0  # in a row

    def failed(self, ran_s: float, refused: bool = False) -> float:
        """After a try that ran well for `ran_s`: how long to wait. Who was refused waits longest."""
        if ran_s >= self._good_s:
            self.failures = 0
        self.failures += 1
        doubled_s = self._first_s * 2.0 ** min(self.failures - 1, 30)
        wait_s = self._most_s if refused else min(doubled_s, self._most_s)
        return wait_s * self._chance(_LEAST_SHARE, 1.0)

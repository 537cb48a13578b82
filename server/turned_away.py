"""That a setting has no more places is logged for who can raise it, and not each time. Knows no places."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

LOG_EVERY_S = 60.0  # who is turned away asks again every few seconds


class TurnedAway:
    """Loop thread only."""

    def __init__(self, what: str, setting: str, most: int) -> None:
        """`what` there are `most` places for, by `setting`: "viewers"."""
        self._what, self._setting, self._most = what, setting, most
        self._logged_s = -LOG_EVERY_S
        self._count = 0  # since it was logged last

    def one_more(self) -> None:
        """Somebody was."""
        self._count += 1
        now_s = time.monotonic()
        if now_s - self._logged_s < LOG_EVERY_S:
            return
        log.warning(
            "all places for %s are taken (%s: %d), %d asked for one more: raise %s where there is power left",
            self._what,
            self._setting,
            self._most,
            self._count,
            self._setting,
        )
        self._logged_s, self._count = now_s, 0

"""The places in front of the models: sessions and streams take them from the same few. Knows neither."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from server.errors import CapacityError

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
LEAVING_WAIT_S = 2.0  # a visitor who reloads is not turned away for the session just left
POLL_S = 0.05
_LOG_EVERY_S = 60.0  # who is turned away asks again every few seconds


class Place:
    """One stream of pictures that is edited, from its opening to its end."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.leaving: Callable[[], bool] = lambda: False  # it will be free in a moment

    def give_back(self) -> None:
        """Idempotent."""
        self._places.free(self)


class Places:
    """Loop thread only."""

    def __init__(self, most: int, refused: Callable[[str], None] = lambda _: None) -> None:
        """`refused` hears the code of each refusal."""
        self._most = most
        self._refused = refused
        self._taken: set[Place] = set()
        self._logged_s = -_LOG_EVERY_S
        self._turned_away = 0  # since it was logged last
        self.draining = False  # nobody is let in any more

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def full(self) -> bool:
        return len(self._taken) >= self._most

    async def take(self) -> Place:
        """Raises CapacityError when draining, and where there is no place and none becomes free soon."""
        self.admit()
        if self.full:
            await self._wait_for_leaving()
            self.admit()
            if self.full:
                raise self._full()
        place = Place(self)  # no await since it was seen to be free: two at once cannot share the last one
        self._taken.add(place)
        return place

    def admit(self) -> None:
        """Raises CapacityError when draining."""
        if self.draining:
            self._refused("going-away")
            error = CapacityError("the server is going down: try again in a moment", RETRY_AFTER_S)
            error.code = "going-away"
            raise error

    def _full(self) -> CapacityError:
        """Counted, and at most once a minute logged for who can change it."""
        self._refused("capacity")
        self._turned_away += 1
        now_s = time.monotonic()
        if now_s - self._logged_s >= _LOG_EVERY_S:
            log.warning(
                "all places for sessions and streams are taken (max_sessions = %d), %d asked for one more: "
                "raise max_sessions where this machine holds more",
                self._most,
                self._turned_away,
            )
            self._logged_s, self._turned_away = now_s, 0
        return CapacityError(
            f"all places of this server are taken (max_sessions = {self._most})", RETRY_AFTER_S
        )

    def free(self, place: Place) -> None:
        self._taken.discard(place)

    async def _wait_for_leaving(self) -> None:
        deadline_s = time.monotonic() + LEAVING_WAIT_S
        while self.full and time.monotonic() < deadline_s:
            if not any(place.leaving() for place in self._taken):
                return
            await asyncio.sleep(POLL_S)

"""The places in front of the models: sessions and streams take them from the same few. Knows neither."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from server.errors import CapacityError
from server.turned_away import TurnedAway

RETRY_AFTER_S = 5
LEAVING_WAIT_S = 2.0  # a visitor who reloads is not turned away for the session just left
POLL_S = 0.05


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
        self._turned_away = TurnedAway("sessions and streams", "max_sessions", most)
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
                self._refused("capacity")
                self._turned_away.one_more()
                raise CapacityError(
                    f"all places of this server are taken (max_sessions: {self._most})", RETRY_AFTER_S
                )
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

    def free(self, place: Place) -> None:
        self._taken.discard(place)

    async def _wait_for_leaving(self) -> None:
        deadline_s = time.monotonic() + LEAVING_WAIT_S
        while self.full and time.monotonic() < deadline_s:
            if not any(place.leaving() for place in self._taken):
                return
            await asyncio.sleep(POLL_S)

"""The places in front of the models: sessions and streams take them from the same few. Knows neither.

Who finds none free gets that of who has stood still for longest, paused and with nothing asked. The last few
are kept from addresses that hold a share already: nobody takes all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from server.errors import CapacityError
from server.streams.guesses import counted, ip_of
from server.turned_away import TurnedAway

RETRY_AFTER_S = 5
LEAVING_WAIT_S = 2.0  # a visitor who reloads is not turned away for the session just left
POLL_S = 0.05
LAST_FEW = 4  # a quarter of all places, and at least one, are the last few


class Place:
    """One stream of pictures that is edited, from its opening to its end."""

    def __init__(self, places: Places, of: str) -> None:
        self._places = places
        self.of = of  # whose it is, "" where that is not counted
        self.leaving: Callable[[], bool] = lambda: False  # it will be free in a moment
        self.stood_s: Callable[[], float] = lambda: 0.0  # for how long nothing moved and nobody did anything
        self.make_way: Callable[[], None] = lambda: None  # leave, another wants it

    def give_back(self) -> None:
        """Idempotent."""
        self._places.free(self)


class Places:
    """Loop thread only."""

    def __init__(
        self,
        most: int,
        refused: Callable[[str], None] = lambda _: None,
        *,
        most_each: int = 0,
        gives_way_s: float = 120.0,
    ) -> None:
        """`refused` hears the code of each refusal. `most_each`: who holds so many gets none of the last few;
        0: that is not counted. `gives_way_s`: see `Place.stood_s`."""
        self._most = most
        self._most_each = min(most_each, max(1, most - 1))  # also of few places one address never gets all
        self._last_few = max(1, most // LAST_FEW)
        self._gives_way_s = gives_way_s
        self._refused = refused
        self._taken: set[Place] = set()
        self._turned_away = TurnedAway("sessions and streams", "max_sessions", most)
        self.draining = False  # nobody is let in any more

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def full(self) -> bool:
        return len(self._taken) >= self._most

    async def take(self, address: str = "") -> Place:
        """`address`: who asks; "" and this machine's own are not counted.

        Raises CapacityError when draining, and where there is no place and none becomes free soon."""
        of = _who(address)
        deadline_s = time.monotonic() + LEAVING_WAIT_S
        self.admit()
        while self.full or self._has_its_share(of):
            # Who has a share is not let in for others' standing still.
            own = self._has_its_share(of)
            among = [place for place in self._taken if not own or place.of == of]
            if time.monotonic() >= deadline_s or not self._becomes_free(among):
                raise self._refusal(of)
            await asyncio.sleep(POLL_S)
            self.admit()
        # No await since it was seen to be free: two at once cannot share the last one.
        place = Place(self, of)
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

    def _has_its_share(self, of: str) -> bool:
        if not of or not self._most_each or self._most - len(self._taken) > self._last_few:
            return False
        return sum(place.of == of for place in self._taken) >= self._most_each

    def _becomes_free(self, among: Iterable[Place]) -> bool:
        """Whether one of them will in a moment: one is being left, or was asked to make way."""
        if any(place.leaving() for place in among):
            return True
        longest = max(among, key=lambda place: place.stood_s(), default=None)
        if longest is None or longest.stood_s() < self._gives_way_s:
            return False
        longest.make_way()
        return True

    def _refusal(self, of: str) -> CapacityError:
        if self._has_its_share(of):
            self._refused("share")
            return CapacityError(
                f"{of} has {self._most_each} or more sessions here, and the last places are kept for others "
                f"(max_sessions_each: {self._most_each})",
                RETRY_AFTER_S,
                "Close one of them, in another tab perhaps, or try again after Retry-After seconds. If the "
                "address is that of a proxy: name it in trusted_proxies, and let it send X-Forwarded-For.",
            )
        self._refused("capacity")
        self._turned_away.one_more()
        return CapacityError(
            f"all places of this server are taken (max_sessions: {self._most})", RETRY_AFTER_S
        )


def _who(address: str) -> str:
    """As it is counted; who sits at this machine may have all of it."""
    found = ip_of(address)
    return "" if found is not None and found.is_loopback else counted(address)

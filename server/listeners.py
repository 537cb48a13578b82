"""Who listens to how something fares, or waits for it, counted by address: nobody takes all places."""

from __future__ import annotations

from dataclasses import dataclass

from server.errors import CapacityError
from server.streams.guesses import counted

RETRY_AFTER_S = 10


@dataclass(eq=False, slots=True)
class Place:
    """Of one, until `give_back`."""

    address: str
    is_known: bool
    gone: bool = False  # another has it: end


class Listeners:
    """Loop thread only."""

    def __init__(
        self, most: int = 200, kept_free: int = 0, fewest_each: int = 8, doing: str = "listen"
    ) -> None:
        """`most` at once; a quarter of them, and not less than `fewest_each`, from one address. Once all are
        taken, an address that has fewer than another gets the oldest place of the one that has most.
        `kept_free`: beyond those, for who is known by a key or as the operator. `doing`: what they do, in
        the words of a refusal."""
        self._doing = doing
        self._most, self._most_each = most, max(fewest_each, most // 4)
        self._most_in_all = most + kept_free
        self._guests: dict[str, dict[Place, None]] = {}  # by address, the oldest first
        self._known: set[Place] = set()

    def __len__(self) -> int:
        return self._guest_count() + len(self._known)

    def take(self, address: str, instead: str, *, is_known: bool = False) -> Place:
        """One more from there. Raises CapacityError where that is too many. `instead`: what to ask then."""
        of = counted(address)
        place = Place(of, is_known)
        if is_known:
            if len(self) >= self._most_in_all:
                raise self._all_taken(instead)
            self._known.add(place)
            return place
        held = len(self._guests.get(of, ()))
        if held >= self._most_each:
            raise CapacityError(
                f"{held} {self._doing} already from {of}, all that one address may: end one of them, or ask "
                f"{instead}; if that is a proxy, name it in trusted_proxies, and let it send X-Forwarded-For",
                RETRY_AFTER_S,
            )
        if self._guest_count() >= self._most or len(self) >= self._most_in_all:
            fullest = max(self._guests.values(), key=len, default={})
            if len(fullest) <= held + 1:
                raise self._all_taken(instead)
            oldest = next(iter(fullest))
            self.give_back(oldest)
            oldest.gone = True
        self._guests.setdefault(of, {})[place] = None
        return place

    def give_back(self, place: Place) -> None:
        """Idempotent."""
        self._known.discard(place)
        of = self._guests.get(place.address, {})
        of.pop(place, None)
        if not of:  # who is gone is not remembered
            self._guests.pop(place.address, None)

    def _all_taken(self, instead: str) -> CapacityError:
        return CapacityError(f"{len(self)} {self._doing} already: ask {instead}", RETRY_AFTER_S)

    def _guest_count(self) -> int:
        return sum(map(len, self._guests.values()))

"""Who listens to how jobs fare, counted by address: no single one takes all places. Knows no jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from server.errors import CapacityError
from server.streams.guesses import counted

RETRY_AFTER_S = 10


class Listeners:
    """Loop thread only."""

    def __init__(self, most: int = 200, fewest_each: int = 8) -> None:
        """`most` at once; a quarter of them, and not less than `fewest_each`, from one address."""
        self._most, self._most_each = most, max(fewest_each, most // 4)
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._of.total()

    def check(self, address: str, instead: str) -> None:
        """Raises CapacityError where one more from there is too many. `instead`: what to ask then."""
        of = counted(address)
        if self._of[of] >= self._most_each:
            raise CapacityError(
                f"{self._of[of]} listen already from {of}, all that one address may: end one of them, or ask "
                f"{instead}; if that is a proxy, name it in trusted_proxies",
                RETRY_AFTER_S,
            )
        if len(self) >= self._most:
            raise CapacityError(f"{len(self)} listen already: ask {instead}", RETRY_AFTER_S)

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """It holds its place for so long."""
        of = counted(address)
        self._of[of] += 1
        try:
            yield
        finally:
            self._of[of] -= 1
            if not self._of[of]:  # who is gone is not remembered
                del self._of[of]

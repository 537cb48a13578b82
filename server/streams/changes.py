"""Who wants to hear of something, and the telling of it. Knows not of what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Changes(Generic[T]):
    """Loop thread only."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], None]] = []

    def subscribe(self, callback: Callable[[T], None]) -> Callable[[], None]:
        """`callback` is called at once with each change; what is returned ends that."""
        self._listeners.append(callback)

        def leave() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return leave

    def tell(self, change: T) -> None:
        """A listener that throws is its own affair."""
        for callback in list(self._listeners):
            try:
                callback(change)
            except Exception:
                log.exception("a listener failed at %r", change)

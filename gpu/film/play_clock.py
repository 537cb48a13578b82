"""A film's time: which place of it is asked for, and which moment is now. Pictures and sound follow it.

Knows neither of them. Film time is in ticks of 90 kHz, moments are those of the monotonic clock. A place is
counted, so that who follows sees at once that another one is wanted.
"""

from __future__ import annotations

import threading
import time

from gpu.types import CLOCK_HZ

_WAIT_S = 1.0  # each change wakes who waits; this only bounds it
_NS = 1_000_000_000


class FilmClock:
    """Any thread; nothing here takes time but the waits."""

    def __init__(self, at: int, duration: int) -> None:
        """Plays from `at` on, once it is begun there."""
        self._changed = threading.Condition()
        self._place, self._wanted, self._at = 0, at, at
        self.duration = duration
        self._playing, self._closed = True, False
        self._zero_ns: int | None = None  # when film time 0 would be; None: it stands, or is on its way

    # -- for who steers it

    def go(self, at: int) -> None:
        """Another place; time stands until `begin`."""
        with self._changed:
            self._move(at)

    def pause(self) -> None:
        with self._changed:
            self._playing = False
            self._changed.notify_all()

    def resume(self) -> None:
        """From the beginning where it had come to its end."""
        with self._changed:
            if not self._playing and self._at >= self.duration:
                self._move(0)
            self._playing = True
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _move(self, at: int) -> None:
        self._place, self._wanted, self._at = self._place + 1, at, at
        self._zero_ns = None
        self._changed.notify_all()

    # -- what is true now

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def playing(self) -> bool:
        return self._playing

    @property
    def at(self) -> int:
        """What is shown."""
        return self._at

    def asked(self) -> tuple[int, int]:
        """(the newest place, where it is)."""
        with self._changed:
            return self._place, self._wanted

    def is_at(self, place: int) -> bool:
        """It is still the place that is wanted."""
        return place == self._place and not self._closed

    # -- for the pictures, which lead

    def begin(self, place: int, at: int) -> int:
        """Time runs from `at` on, unless it does; -> when film time 0 would be."""
        now_ns = time.monotonic_ns()
        with self._changed:
            zero_ns = self._zero_ns if self._zero_ns is not None else now_ns - at * _NS // CLOCK_HZ
            if place == self._place:
                self._zero_ns = zero_ns
                self._changed.notify_all()
            return zero_ns

    def stop(self) -> None:
        """Time stands until `begin`."""
        with self._changed:
            self._zero_ns = None

    def slip(self, ns: int) -> None:
        """The film goes on later by so much."""
        with self._changed:
            if self._zero_ns is not None:
                self._zero_ns += ns

    def shown(self, place: int, at: int) -> bool:
        """A picture is; False where another place is wanted."""
        with self._changed:
            if place == self._place:
                self._at = at
            return place == self._place

    def ended(self, place: int) -> None:
        with self._changed:
            if place == self._place:
                self._at, self._playing = self.duration, False

    def wait(self, place: int, due_ns: int) -> bool:
        """Until then; False where another place was asked for meanwhile, or it was closed."""
        with self._changed:
            while self.is_at(place):
                left_s = (due_ns - time.monotonic_ns()) / _NS
                if left_s <= 0:
                    return True
                self._changed.wait(min(left_s, _WAIT_S))
        return False

    def stand(self, place: int, seconds: float) -> bool:
        """At most so long; whether it still stands."""
        with self._changed:
            if self._stands(place):
                self._changed.wait(seconds)
            return self._stands(place)

    def _stands(self, place: int) -> bool:
        return not self._playing and self.is_at(place)

    # -- for the sound, which follows

    def runs(self) -> bool:
        """Waits until time runs; False: it was closed before."""
        with self._changed:
            while self._zero_ns is None and not self._closed:
                self._changed.wait(_WAIT_S)
            return not self._closed

    def follow(self, place: int) -> tuple[int, int] | None:
        """Waits until another place is wanted: (which, where it is); None: closed."""
        with self._changed:
            while self.is_at(place):
                self._changed.wait(_WAIT_S)
            return None if self._closed else (self._place, self._wanted)

    def reach(self, place: int, film_ns: int) -> tuple[int, int] | None:
        """Waits while it stands, and until that moment of the film: (now, when film time 0 was), monotonic;
        None where another place was asked for, or it was closed."""
        with self._changed:
            while self.is_at(place):
                now_ns = time.monotonic_ns()
                if self._zero_ns is None or not self._playing:
                    self._changed.wait(_WAIT_S)
                    continue
                left_s = (self._zero_ns + film_ns - now_ns) / _NS
                if left_s <= 0:
                    return now_ns, self._zero_ns
                self._changed.wait(min(left_s, _WAIT_S))
        return None

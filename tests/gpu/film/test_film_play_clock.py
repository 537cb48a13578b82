"""A film's time: begun by its first picture, stopped, sought, and followed by whoever plays its sound."""

from __future__ import annotations

import threading
import time

from gpu.film.play_clock import FilmClock
from gpu.types import CLOCK_HZ

SECOND_NS = 1_000_000_000


def test_time_begins_with_the_first_picture_and_runs_until_it_stands() -> None:
    clock = FilmClock(2 * CLOCK_HZ, 10 * CLOCK_HZ)
    place, wanted = clock.asked()
    assert wanted == 2 * CLOCK_HZ
    zero_ns = clock.begin(place, wanted)
    assert abs(time.monotonic_ns() - zero_ns - 2 * SECOND_NS) < SECOND_NS
    assert clock.begin(place, wanted + 900) == zero_ns
    clock.slip(SECOND_NS)
    assert clock.begin(place, wanted) == zero_ns + SECOND_NS
    clock.stop()
    assert clock.begin(place, wanted + CLOCK_HZ) != zero_ns + SECOND_NS


def test_another_place_ends_every_wait_for_the_one_before() -> None:
    clock = FilmClock(0, 10 * CLOCK_HZ)
    place, _ = clock.asked()
    zero_ns = clock.begin(place, 0)
    threading.Timer(0.1, clock.go, (5 * CLOCK_HZ,)).start()
    assert not clock.wait(place, zero_ns + 60 * SECOND_NS)
    assert clock.reach(place, 0) is None
    assert not clock.shown(place, 900)
    assert clock.at == 5 * CLOCK_HZ
    found = clock.follow(place)
    assert found is not None
    assert found[0] != place
    assert found[1] == 5 * CLOCK_HZ
    clock.begin(place, 0)  # the old place cannot make time run
    threading.Timer(0.1, clock.close).start()
    assert clock.reach(found[0], 0) is None


def test_a_moment_is_reached_when_it_is_due_and_not_while_it_stands() -> None:
    clock = FilmClock(0, 10 * CLOCK_HZ)
    place, _ = clock.asked()
    zero_ns = clock.begin(place, 0)
    reached = clock.reach(place, SECOND_NS // 10)
    assert reached is not None
    assert reached[0] >= zero_ns + SECOND_NS // 10
    assert reached[1] == zero_ns
    clock.pause()
    assert clock.stand(place, 0.0)
    threading.Timer(0.2, clock.resume).start()
    began_s = time.monotonic()
    assert clock.reach(place, 0) is not None
    assert time.monotonic() - began_s >= 0.19


def test_at_its_end_it_stands_and_goes_on_from_the_beginning() -> None:
    clock = FilmClock(0, 10 * CLOCK_HZ)
    place, _ = clock.asked()
    clock.ended(place)
    assert (clock.at, clock.playing) == (10 * CLOCK_HZ, False)
    clock.resume()
    assert clock.playing
    assert clock.asked() == (place + 1, 0)
    clock.ended(place)  # of a place that was left
    assert clock.playing


def test_closing_ends_who_follows() -> None:
    clock = FilmClock(0, CLOCK_HZ)
    place, _ = clock.asked()
    threading.Timer(0.1, clock.close).start()
    assert not clock.runs()
    assert clock.follow(place) is None
    assert not clock.is_at(place)

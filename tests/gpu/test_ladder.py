"""When a user is told that the machine is too slow."""

from __future__ import annotations

from gpu.ladder import HALVED, OK, SLOWED, STUCK, Ladder


def drive(
    ladder: Ladder, start_s: float, seconds: float, fps_in: float, fps_out: float
) -> list[tuple[float, int]]:
    """Observe 30 times a second; (when, level) of each thing said."""
    said = []
    for i in range(int(seconds * 30)):
        now = start_s + i / 30
        result = ladder.observe(now, fps_in, fps_out)
        if result:
            said.append((round(now - start_s, 1), result[0]))
    return said


def test_keeping_up_says_nothing() -> None:
    assert drive(Ladder(), 0, 60, 30, 29) == []


def test_a_short_dip_says_nothing() -> None:
    ladder = Ladder()
    assert (
        drive(ladder, 0, 1.5, 30, 10) + drive(ladder, 1.5, 1, 30, 30) + drive(ladder, 2.5, 1.5, 30, 10) == []
    )


def test_what_lasts_is_said_once_and_so_is_its_end() -> None:
    ladder = Ladder()
    assert drive(ladder, 0, 30, 30, 18) == [(2.0, SLOWED)]
    assert drive(ladder, 30, 30, 30, 30) == [(2.0, OK)]


def test_the_message_names_the_rate() -> None:
    ladder = Ladder()
    said = [result for i in range(100) if (result := ladder.observe(i / 30, 30, 18))]
    assert said == [(SLOWED, "18 fps: this machine is busy")]


def test_slow_from_the_start_in_changing_degree_is_still_said() -> None:
    ladder = Ladder()
    said = [result[0] for i in range(90) if (result := ladder.observe(i / 30, 30, 14 if i % 2 else 16))]
    assert len(said) == 1
    assert said[0] in (SLOWED, HALVED)


def test_less_than_half_is_another_level() -> None:
    assert drive(Ladder(), 0, 10, 30, 10) == [(2.0, HALVED)]


def test_no_input_changes_nothing() -> None:
    ladder = Ladder()
    drive(ladder, 0, 5, 30, 10)
    assert drive(ladder, 5, 30, 0, 0) == []
    assert ladder.level == HALVED


def test_a_stopped_films_seldom_pictures_are_no_fault() -> None:
    """Each is looked at when it came and is not edited yet: none went out in the second before."""
    ladder = Ladder()
    said = [ladder.observe(float(now), fps_in, fps_in - 1) for fps_in in (1, 2, 3) for now in range(0, 20, 2)]
    assert set(said) == {None}
    assert ladder.level == OK


def test_stuck_is_said_once_and_recovers() -> None:
    ladder = Ladder()
    first = ladder.stuck(5.2)
    assert first is not None
    assert first[0] == STUCK
    assert ladder.stuck(6.2) is None
    assert drive(ladder, 0, 10, 30, 30) == [(2.0, OK)]

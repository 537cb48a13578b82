"""A film played: at its pace, from where it is asked, still where it is stopped, and gone when closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_film import FPS, make_film, number_of

from gpu.errors import RelensError
from gpu.film import play as play_module
from gpu.film.play import FilmPlayer
from gpu.film.timeline import Step
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ, Edit, Frame

pytestmark = pytest.mark.realtime  # a film at its pace

FRAME_TICKS = CLOCK_HZ // FPS


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4")


class Screen:
    """What was shown: (number of the frame, pts), and what was said."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []
        self.edits: list[tuple[int, str]] = []
        self.errors: list[RelensError] = []
        self._more = threading.Condition()

    def show(self, frame: Frame) -> None:
        with self._more:
            self.shown.append((number_of(float(frame.y.mean())), frame.pts))
            self._more.notify_all()

    def edit(self, edit: Edit) -> None:
        self.edits.append((len(self.shown), edit.prompt))

    def until(self, so: Callable[[], bool], limit_s: float = 8.0) -> None:
        deadline_s = time.monotonic() + limit_s
        with self._more:
            while not so():
                assert time.monotonic() < deadline_s, self.shown[-5:]
                self._more.wait(0.1)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.shown]


def play(film: Path, start_s: float = 0.0, steps: tuple[Step, ...] = ()) -> tuple[FilmPlayer, Screen]:
    player, screen = FilmPlayer(film, start_s, steps), Screen()
    player.start(screen.show, screen.edit, screen.errors.append)
    return player, screen


def test_it_plays_in_order_from_where_it_is_asked_and_times_never_go_back(film: Path) -> None:
    player, screen = play(film, 1.0)
    screen.until(lambda: len(screen.shown) >= 12)
    player.close()
    assert screen.numbers[:12] == list(range(25, 37))
    times = [pts for _, pts in screen.shown]
    assert times == sorted(set(times))
    assert screen.errors == []
    assert player.size == (64, 48)
    assert player.duration_s == 4.0


def test_seeking_goes_there_and_back_and_never_beyond(film: Path) -> None:
    player, screen = play(film)
    screen.until(lambda: len(screen.shown) >= 3)
    player.seek(3.0)
    screen.until(lambda: 75 in screen.numbers)
    player.seek(0.4)
    screen.until(lambda: screen.numbers[-1] in range(10, 20))
    player.seek(1e6)
    screen.until(lambda: 99 in screen.numbers)
    player.seek(-3.0)
    screen.until(lambda: screen.numbers[-1] < 5)
    player.close()
    times = [pts for _, pts in screen.shown]
    assert times == sorted(set(times))


def test_a_stopped_film_shows_its_picture_again_and_one_sought_to(film: Path) -> None:
    player, screen = play(film)
    screen.until(lambda: len(screen.shown) >= 3)
    player.pause()
    screen.until(lambda: screen.numbers[-1] == screen.numbers[-2] == screen.numbers[-3])
    assert not player.position().playing
    player.seek(2.0)
    screen.until(lambda: screen.numbers[-3:] == [50, 50, 50])
    assert player.position().at == 2.0
    player.resume()
    screen.until(lambda: screen.numbers[-1] > 52)
    player.close()


def test_a_stopped_film_comes_seldom_until_it_is_edited(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play_module, "SETTLED_S", 0.5)
    monkeypatch.setattr(play_module, "SELDOM_S", 30.0)
    player, screen = play(film)
    screen.until(lambda: len(screen.shown) >= 3)
    player.pause()
    time.sleep(1.5)
    settled = len(screen.shown)
    time.sleep(0.6)
    assert len(screen.shown) == settled
    player.edited()
    screen.until(lambda: len(screen.shown) >= settled + 2)
    player.close()


def test_at_its_end_it_stands_and_begins_again_when_asked(film: Path) -> None:
    player, screen = play(film, 3.8)
    screen.until(lambda: screen.numbers[-3:] == [99, 99, 99])
    at = player.position()
    assert (at.at, at.playing) == (4.0, False)
    player.resume()
    screen.until(lambda: screen.numbers[-1] in range(3, 20))
    player.close()


def test_a_timeline_is_followed_from_where_the_film_begins_until_somebody_asks_for_more(film: Path) -> None:
    steps = (
        Step(0, Edit(1, "a")),
        Step(30 * FRAME_TICKS, Edit(2, "b")),
        Step(90 * FRAME_TICKS, Edit(3, "c")),
    )
    player, screen = play(film, 1.0, steps)
    assert player.first_edit() == steps[0].edit
    screen.until(lambda: 33 in screen.numbers)
    assert screen.edits == [(5, "b")]
    assert player.followed() == steps[1].edit
    player.edited()
    assert player.followed() is None
    player.seek(3.6)
    screen.until(lambda: 92 in screen.numbers)
    player.close()
    assert [prompt for _, prompt in screen.edits] == ["b"]


def test_closing_leaves_nothing_and_may_be_done_twice(film: Path) -> None:
    player, screen = play(film)
    screen.until(lambda: len(screen.shown) >= 2)
    player.close()
    player.close()
    count = len(screen.shown)
    time.sleep(0.3)
    assert len(screen.shown) == count
    assert not [t for t in threading.enumerate() if t.name == "relens-film"]


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "x.mp4"
    bad.write_bytes(b"#EXTM3U\n")
    with pytest.raises(FilmError):
        FilmPlayer(bad)

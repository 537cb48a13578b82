"""A film's sound played: in step with its pictures, from where it is sought, silent where it stands."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gpu.errors import RelensError
from gpu.film import play, reader
from gpu.film.pcm_wire import RATE_HZ, SAMPLES
from gpu.film.play import FilmPlayer
from gpu.film.reader import FilmReader, open_again
from gpu.film.timeline import Step
from gpu.film.types import FilmError, FilmLimits
from gpu.types import CLOCK_HZ, Edit, Frame
from tests.gpu.film.flashing import Sound, make_flashes
from tests.gpu.film.test_film_pcm import spoil
from tests.server.lip_sync import apart_s

pytestmark = pytest.mark.realtime  # a film at its pace


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_flashes(tmp_path_factory.mktemp("film") / "film.mp4", 20.0, Sound(rate=44_100))


class Stage:
    """What was shown and heard, by its time in the stream; a SoundSink."""

    def __init__(self, takes_s: float = 0.0) -> None:
        """`takes_s`: to show a picture."""
        self._takes_s = takes_s
        self.pictures: list[tuple[float, float]] = []  # (seconds, luma)
        self.blocks: list[tuple[int, float, float]] = []  # (pts, peak, monotonic)
        self.sounds: list[tuple[float, float]] = []  # (seconds, peak) of each millisecond
        self.silent: list[str] = []
        self.errors: list[RelensError] = []
        self.edits: list[Edit] = []

    def show(self, frame: Frame) -> None:
        self.pictures.append((frame.pts / CLOCK_HZ, float(frame.y.mean())))
        time.sleep(self._takes_s)

    def hear(self, block: bytes, pts: int, now_ns: int) -> None:
        samples = np.abs(np.frombuffer(block, np.int16).reshape(-1, 2)[:, 0] / 32768)
        peaks = samples.reshape(-1, RATE_HZ // 1000).max(1)
        self.sounds += [(pts / RATE_HZ + ms / 1000, float(peak)) for ms, peak in enumerate(peaks)]
        self.blocks.append((pts, float(peaks.max()), now_ns / 1e9))

    def fall_silent(self, why: str) -> None:
        self.silent.append(why)

    def until(self, so: Callable[[], bool], limit_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + limit_s
        while not so():
            assert time.monotonic() < deadline_s, (self.pictures[-3:], self.blocks[-3:], self.silent)
            time.sleep(0.02)


@contextmanager
def playing(
    film: Path, start_s: float = 0.0, takes_s: float = 0.0, decodes_s: float = 0.0, steps: Sequence[Step] = ()
) -> Iterator[tuple[FilmPlayer, Stage]]:
    """`takes_s` to show a picture, `decodes_s` longer than usual to decode one."""
    player, stage = FilmPlayer(film, start_s, steps), Stage(takes_s)
    frames = player._reader.frames

    def slowly(start: int) -> Iterator[Frame]:
        for frame in frames(start):
            time.sleep(decodes_s)
            yield frame

    if decodes_s:
        player._reader.frames = slowly  # type: ignore[method-assign, assignment]
    player.start(stage.show, stage.edits.append, stage.errors.append, stage)
    try:
        yield player, stage
    finally:
        heard = player._sound._reader if player._sound is not None else None
        player.close()
    assert heard is None or not psutil.pid_exists(heard.pid)
    assert stage.errors == []
    assert not [each for each in threading.enumerate() if each.name.startswith("relens-film")]


def test_beep_and_flash_of_one_moment_have_one_time_also_behind_a_seek_and_a_pause(film: Path) -> None:
    with playing(film) as (player, stage):
        stage.until(lambda: len(stage.blocks) >= 100)
        player.seek(9.6)
        stage.until(lambda: len(stage.blocks) >= 180)
        player.pause()
        time.sleep(0.3)
        player.resume()
        stage.until(lambda: len(stage.blocks) >= 260)
    apart = apart_s(stage.pictures, stage.sounds)
    assert len(apart) >= 3
    assert max(map(abs, apart)) < 0.02
    times = [pts for pts, _, _ in stage.blocks]
    assert times == sorted(set(times))
    assert sum(b - a != SAMPLES for a, b in pairwise(times)) <= 4


def test_nothing_of_a_place_that_was_left_comes_after_the_seek(film: Path) -> None:
    with playing(film, 0.1) as (player, stage):
        stage.until(lambda: len(stage.blocks) >= 10)
        player.seek(12.2)
        sought_s = time.monotonic()
        stage.until(lambda: any(at > sought_s for _, _, at in stage.blocks))
        time.sleep(0.4)
    later = [(pts, at) for pts, _, at in stage.blocks if at > sought_s]
    shown = [at for at, luma in stage.pictures if luma < 200 and at > later[0][0] / RATE_HZ - 0.1]
    assert later[0][0] / RATE_HZ >= shown[0] - 0.03  # not before the first picture of the new place


def test_while_it_stands_and_at_its_end_nothing_is_heard(film: Path) -> None:
    with playing(film, 18.5) as (player, stage):
        stage.until(lambda: len(stage.blocks) >= 10)
        player.pause()
        count = len(stage.blocks)
        time.sleep(0.4)
        assert len(stage.blocks) <= count + 1  # one may have been on its way
        player.resume()
        stage.until(lambda: not player.position().playing)
        assert len(stage.blocks) > count + 30
        count = len(stage.blocks)
        time.sleep(0.3)
        assert len(stage.blocks) <= count + 1
        player.resume()  # from its beginning
        stage.until(lambda: len(stage.blocks) >= count + 20)
        assert player.position().at < 10


def test_pictures_that_are_late_are_left_out_and_the_sound_goes_on(film: Path) -> None:
    with playing(film, takes_s=0.15) as (_, stage):  # 25 fps would be 40 ms each
        stage.until(lambda: len(stage.blocks) >= 10)
        first = stage.blocks[0]
        time.sleep(3.0)
        last = stage.blocks[-1]
        shown = len(stage.pictures)
        at_s = stage.pictures[-1][0]
    passed_s = last[2] - first[2]
    assert (last[0] - first[0]) / RATE_HZ == pytest.approx(passed_s, abs=0.1)
    assert 5 <= shown < 40
    assert last[0] / RATE_HZ - at_s < 1.5


def test_an_edit_of_pictures_that_are_left_out_takes_force_all_the_same(film: Path) -> None:
    steps = (Step(0, Edit(1, "rain")), Step(round(19.9 * CLOCK_HZ), Edit(2, "night")))
    with playing(film, 18.2, decodes_s=0.06, steps=steps) as (player, stage):
        stage.until(lambda: not player.position().playing)
        stage.until(lambda: bool(stage.edits), 1.0)
    assert [edit.prompt for edit in stage.edits] == ["night"]


def test_paused_while_pictures_are_left_out_it_stands_at_once(film: Path) -> None:
    def leaves_out() -> bool:
        reached = player._clock.reach(player._clock.asked()[0], 0)
        late_s = (reached[0] - reached[1]) / 1e9 - player.position().at if reached else 0.0
        return 0.4 < late_s < 0.9 and 0.05 < time.monotonic() - player._shown_s < 0.15

    with playing(film, decodes_s=0.06) as (player, stage):
        stage.until(leaves_out)
        at_s, shown = player.position().at, len(stage.pictures)
        player.pause()
        stage.until(lambda: len(stage.pictures) > shown + 1)
        assert player.position().at - at_s < 0.13  # the picture on its way, and the next


def test_a_film_whose_sound_is_damaged_says_so_once_and_plays_on(tmp_path: Path) -> None:
    film = spoil(make_flashes(tmp_path / "film.mp4", 4.0, Sound()), lambda at: True)
    with playing(film) as (player, stage):
        stage.until(lambda: bool(stage.silent))
        shown = len(stage.pictures)
        player.seek(2.0)
        stage.until(lambda: len(stage.pictures) > shown + 10)
    assert len(stage.silent) == 1
    assert "cannot be decoded" in stage.silent[0]
    assert stage.blocks == []


def test_a_film_without_sound_plays_as_ever(tmp_path: Path) -> None:
    with playing(make_flashes(tmp_path / "film.mp4", 1.0)) as (_, stage):
        stage.until(lambda: len(stage.pictures) > 5)
    assert (stage.blocks, stage.silent) == ([], [])


@pytest.mark.parametrize("says_so", [True, False], ids=["held", "refused"])
def test_a_film_that_is_replaced_while_it_is_opened_is_not_heard_for_another(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says_so: bool
) -> None:
    """Where the system does not say by what name an open file can be opened again, it is refused."""
    path, silent = Path(shutil.copy(film, tmp_path / "film.mp4")), make_flashes(tmp_path / "no.mp4", 1.0)
    readers: list[FilmReader] = []

    def replaced(fd: int, path: Path, limits: FilmLimits) -> int:
        silent.replace(path)
        return open_again(fd, path, limits)

    def made(*given: Any) -> FilmReader:
        readers.append(FilmReader(*given))
        return readers[0]

    monkeypatch.setattr(play, "open_again", replaced)
    monkeypatch.setattr(play, "FilmReader", made)
    if says_so:
        if not Path("/proc/self/fd").is_dir():
            pytest.skip("this system does not say it")
        with playing(path) as (_, stage):
            stage.until(lambda: len(stage.blocks) >= 10)
        return
    monkeypatch.setattr(reader, "held", lambda fd, path: path)
    with pytest.raises(FilmError, match="replaced by another"):
        FilmPlayer(path)
    assert not psutil.pid_exists(readers[0].pid)


def test_what_is_closed_before_it_was_started_leaves_nothing(film: Path) -> None:
    player = FilmPlayer(film)
    player.close()
    player.close()

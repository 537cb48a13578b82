"""Spans' work side by side: the first fault ends all of it, and nothing outlives it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gpu.errors import ModelError
from gpu.film.reader import LIMITS, held, open_file
from gpu.film.types import FilmError
from gpu.models.base import EditState
from gpu.models.passthrough import PassthroughModel
from server.edit_crew import MOST_WORKERS, Crew, Tools, shares
from tests.gpu.film.small_film import make_film


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", 10)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    deadline_s = time.monotonic() + 5
    while any(t.name.startswith("relens-edit") for t in threading.enumerate()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "threads", "workers", "each"),
    [
        ("nano", 1, 1, 1),
        ("nano", 2, 3, 1),
        ("nano", 3, 4, 1),
        ("nano", 9, MOST_WORKERS + 1, 2),
        ("liveedit-1.3b", 8, 1, 8),
    ],
)
def test_threads_are_shared_out(name: str, threads: int, workers: int, each: int) -> None:
    assert shares(name, threads) == (workers, each)


def test_without_a_word_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.edit_crew.usable_cores", lambda: 3)
    assert shares("nano", 0) == (4, 1)


def test_a_model_that_refuses_is_heard_of(film: Path) -> None:
    class Refuses(PassthroughModel):
        def open_state(self, width: int, height: int) -> EditState:
            raise ModelError("not that size")

    def work(tools: Tools) -> None:
        tools.model.open_state(64, 48)

    with Crew(film, "passthrough", 2) as crew:
        while not crew._free.empty():
            crew._free.get()
        crew._free.put(Tools(Refuses(), crew.first.reader))
        crew.put(work)
        with pytest.raises(ModelError, match="not that size"):
            crew.end()


def test_work_runs_side_by_side_with_tools_of_its_own(film: Path) -> None:
    both = threading.Barrier(2, timeout=30)
    seen: list[Tools] = []

    def work(tools: Tools) -> None:
        seen.append(tools)
        both.wait()

    with Crew(film, "passthrough", 2) as crew:
        crew.put(work)
        crew.put(work)
        crew.end()
        first, second = seen
        assert first.model is not second.model
        assert first.reader.pid != second.reader.pid
        for each in seen:  # a decoder's threads would only cost for each other
            assert len(list(each.reader.frames())) == each.reader.info.video.frames
            assert psutil.Process(each.reader.pid).num_threads() == 1


def test_all_read_the_film_that_was_opened(film: Path, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    source.write_bytes(film.read_bytes())
    both = threading.Barrier(2, timeout=30)
    seen: list[int] = []

    def work(tools: Tools) -> None:
        both.wait()
        seen.append(tools.reader.info.video.frames)

    fd = open_file(source, LIMITS)
    try:
        with Crew(held(fd, source), "passthrough", 2) as crew:
            make_film(tmp_path / "other.mp4", 5).replace(source)
            crew.put(work)
            crew.put(work)
            crew.end()
            assert crew.damage() == ()
    finally:
        os.close(fd)
    assert seen == [10, 10]


def test_a_fault_ends_what_runs_beside_it(film: Path) -> None:
    ended = threading.Event()

    def goes_on(tools: Tools) -> None:
        while not crews[0].cancelled():
            time.sleep(0.005)
        ended.set()

    def fails(tools: Tools) -> None:
        raise FilmError("no more")

    def both() -> None:
        with Crew(film, "passthrough", 2) as crew:
            crews.append(crew)
            crew.put(goes_on)
            crew.put(fails)
            crew.end()

    crews: list[Crew] = []
    with pytest.raises(FilmError, match="no more"):
        both()
    assert ended.is_set()


def test_no_more_waits_than_can_be_worked_on_soon(film: Path) -> None:
    go_on = threading.Event()
    given: list[int] = []

    def waits(tools: Tools) -> None:
        go_on.wait(30)

    def give() -> None:
        for number in range(5):
            crew.put(waits)
            given.append(number)

    with Crew(film, "passthrough", 1) as crew:
        giver = threading.Thread(target=give)
        giver.start()
        deadline_s = time.monotonic() + 5
        while len(given) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        time.sleep(0.1)
        assert given == [0, 1]
        go_on.set()
        giver.join(30)
        crew.end()
    assert len(given) == 5


def test_what_is_no_film_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no film")
    with pytest.raises(FilmError):
        Crew(tmp_path / "no.mp4", "passthrough", 2)

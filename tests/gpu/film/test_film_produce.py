"""A span from film to segment: the same bytes each time, stopped when asked, faults where they belong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_film import make_film
from streams import TintModel

from gpu.errors import ModelError
from gpu.film.produce import Cancelled, produce
from gpu.film.reader import FilmReader, open_film
from gpu.film.segment import OutputSettings
from gpu.film.timeline import Step
from gpu.film.types import FilmError, Span
from gpu.types import Edit

SETTINGS = OutputSettings(preset="ultrafast")
STEPS = (Step(0, Edit(1, "brighter")),)
TICKS = 3600  # a frame


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilmReader]:
    with open_film(make_film(tmp_path_factory.mktemp("film") / "film.mp4", 100)) as reader:
        yield reader


def span(first: int, frames: int) -> Span:
    return Span(1, first, frames, first * TICKS, (first + frames) * TICKS, False)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "relens-segment"]


def test_the_same_span_gives_the_same_bytes_and_says_how_far_it_is(film: FilmReader) -> None:
    said: list[int] = []
    first = produce(TintModel(), film, span(40, 20), STEPS, film.info, SETTINGS, said.append)
    assert said == list(range(1, 21))
    assert first == produce(TintModel(), film, span(40, 20), STEPS, film.info, SETTINGS)
    assert first != produce(TintModel(), film, span(40, 20), (), film.info, SETTINGS)
    assert b"moof" in first[:8]
    assert not threads()


def test_what_nobody_wants_any_more_ends_within_a_frame(film: FilmReader) -> None:
    said: list[int] = []
    with pytest.raises(Cancelled):
        produce(
            TintModel(), film, span(40, 50), STEPS, film.info, SETTINGS, said.append, lambda: len(said) >= 7
        )
    assert len(said) == 7
    assert not threads()


def test_a_fault_of_the_model_comes_out_and_leaves_no_thread(film: FilmReader) -> None:
    def fails(*of: object) -> None:
        raise ModelError("broken")

    with pytest.raises(ModelError, match="broken"):
        produce(TintModel(on_step=fails), film, span(40, 20), STEPS, film.info, SETTINGS)
    assert not threads()


def test_a_fault_of_the_encoder_comes_out_where_frames_come_from(film: FilmReader) -> None:
    with pytest.raises(FilmError):
        produce(TintModel(), film, span(90, 20), STEPS, film.info, SETTINGS)  # the film has 100 frames
    assert not threads()


def test_films_in_folders_of_their_own(tmp_path: Path) -> None:
    """A reader closed in the middle of a span is a fault of the film, not a hang."""
    with open_film(make_film(tmp_path / "film.mp4", 60)) as reader:

        def close(done: int) -> None:
            if done == 5:
                reader.close()

        with pytest.raises(FilmError):
            produce(TintModel(), reader, span(0, 60), STEPS, reader.info, SETTINGS, close)
    assert not threads()

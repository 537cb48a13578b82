"""Films rendered without a model, for the tests of what is made of segments."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from gpu.film.cut import cut
from gpu.film.reader import open_film
from gpu.film.segment import OutputSettings, init_segment, write_segment
from gpu.film.types import FilmInfo, Span
from tests.gpu.film.film_files import Recipe, make_film

SETTINGS = OutputSettings()


@dataclass(frozen=True)
class Rendered:
    source: Path
    info: FilmInfo
    spans: tuple[Span, ...]
    init: bytes
    segments: list[bytes]


def render(source: Path, seconds: list[Fraction], recipe: Recipe) -> Rendered:
    """Make a film, cut it, and write its own frames as segments."""
    make_film(source, seconds, recipe)
    with open_film(source) as film:
        spans = cut(film, 2.0, 0.5)
        made = [write_segment(film.frames(s.start, s.end), s, film.info, SETTINGS) for s in spans]
        return Rendered(source, film.info, spans, init_segment(film.info, SETTINGS), made)


def constant(fps: Fraction, count: int) -> list[Fraction]:
    return [Fraction(number) / fps for number in range(count + 1)]


def uneven(count: int) -> list[Fraction]:
    times = [Fraction(0)]
    for number in range(count):
        times.append(times[-1] + Fraction((3000, 1500, 4500, 3003)[number % 4], 90_000))
    return times

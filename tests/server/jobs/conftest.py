"""One film for all tests of jobs, and a brake on the model that renders it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.jobs.job_film import Brake, make_scenes


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s, 150 frames, three scenes, a tone."""
    return make_scenes(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Brake]:
    made = Brake(monkeypatch)
    yield made
    made.go()


@pytest.fixture(scope="session")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("silent") / "film.mp4", (1, 1.2), sound=False)

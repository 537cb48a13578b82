"""Spans side by side: as many as fit, each with a model of its own, and the same bytes as one by one."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gpu.errors import ModelError
from gpu.models.passthrough import PassthroughModel
from server.jobs import own_model
from server.jobs.own_model import OwnModel, side_by_side
from server.jobs.patience import Abandoned, Signal
from tests.server.jobs.job_film import Brake, working
from tests.server.visitor import until

WANTED = Signal(threading.Event())
SIZE = (640, 480)


@pytest.mark.parametrize(
    ("most", "threads", "workers", "each"),
    [(5, 2, 3, 1), (2, 2, 2, 1), (1, 2, 1, 0), (0, 2, 0, 0), (5, 1, 1, 0), (2, 8, 2, 4), (16, 8, 5, 2)],
)
def test_as_many_as_are_allowed_and_fit(most: int, threads: int, workers: int, each: int) -> None:
    assert side_by_side(most, threads) == (workers, each)


def test_a_small_model_is_loaded_once_and_let_go_when_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    streams, own = PassthroughModel(), OwnModel(1, threading.Lock())
    with own.instead_of(streams, SIZE, WANTED) as first:
        assert first is not streams
    assert not own.rest()
    with own.instead_of(streams, SIZE, WANTED) as second:
        assert second is first
    with own.instead_of(streams, (320, 240), WANTED) as of_another_size:
        assert of_another_size is not first
    monkeypatch.setattr(own_model, "KEPT_S", 0.0)
    assert own.rest()
    with own.instead_of(streams, (320, 240), WANTED) as third:
        assert third is not of_another_size
    own.close()


def test_where_one_renders_it_has_the_streams_model() -> None:
    streams = PassthroughModel()
    with OwnModel(0, threading.Lock()).instead_of(streams, SIZE, WANTED) as model:
        assert model is streams


class Named(PassthroughModel):
    """As one of another name, or of other weights."""

    def __init__(self, name: str, identity: str = "") -> None:
        super().__init__()
        self._spec = replace(self._spec, name=name, identity=identity)


def test_of_a_large_model_there_is_one_and_one_renderer_has_it() -> None:
    streams, alone, given_up = Named("liveedit-1.3b"), threading.Lock(), threading.Event()
    first, second = OwnModel(1, alone), OwnModel(1, alone)
    with first.instead_of(streams, SIZE, WANTED) as model:
        assert model is streams
        given_up.set()
        with pytest.raises(Abandoned), second.instead_of(streams, SIZE, Signal(given_up)):
            pass
    with second.instead_of(streams, SIZE, WANTED) as model:
        assert model is streams


def test_weights_that_changed_are_not_taken_for_the_servers() -> None:
    with (
        pytest.raises(ModelError, match="start it again"),
        OwnModel(1, threading.Lock()).instead_of(Named("passthrough", "of before"), SIZE, WANTED),
    ):
        pass


async def test_spans_are_rendered_side_by_side(tmp_path: Path, film: Path, brake: Brake) -> None:
    async with working(tmp_path / "kept", render_workers=5, threads=2) as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]

        def running() -> int:
            return sum(each.state == "RUNNING" for each in jobs.kept.segments.list(job))

        await until(lambda: running() == 3)
        brake.go()
        await jobs.until(job, "DONE")
        assert jobs.segments("rendered") == 3


@pytest.mark.slow
async def test_what_is_rendered_side_by_side_is_the_same_to_the_byte(tmp_path: Path, silent: Path) -> None:
    results = []
    for workers in (1, 5):
        async with working(tmp_path / str(workers), model="nano", threads=2, render_workers=workers) as jobs:
            job = (await jobs.post(await jobs.add(silent), instruction="make it sepia"))["job_id"]
            await jobs.until(job, "DONE", seconds=60)
            assert jobs.segments("rendered") == 2
            results.append(await jobs.result(job))
    assert results[0] == results[1]

"""A whole film edited over HTTP: the request, its progress, its result. A real server, a real film."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.server.jobs.job_film import make_scenes, shown, working


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("film") / "film.mp4")


async def test_a_film_goes_in_and_comes_out_edited_whole_and_with_its_sound(
    tmp_path: Path, film: Path
) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(film)
        started = await jobs.post(video)
        assert set(started) == {"job_id", "status"}
        done = await jobs.until(started["job_id"], "DONE")
        assert (done["frames"], done["framesDone"], done["done"]) == (150, 150, [[0.0, 6.0]])
        out = tmp_path / "out.mp4"
        out.write_bytes(await jobs.result(started["job_id"]))
        assert done["bytes"] == out.stat().st_size
    times, lumas = shown(out)
    before, was = shown(film)
    assert times == before
    assert max(abs(a - b) for a, b in zip(lumas, was, strict=True)) < 2
    with av.open(str(out)) as made:
        assert len(made.streams.audio) == 1

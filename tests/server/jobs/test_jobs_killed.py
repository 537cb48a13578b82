"""kill -9 of a real server in the middle of a render: the next one goes on by itself.

Nothing that was finished is computed again, and the film is the same to the byte."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from server.kept.kept import Kept
from tests.server.jobs.job_film import add_film, make_scenes
from tests.server.jobs.killed_server import Process

pytestmark = pytest.mark.realtime  # servers killed in the middle of their work

STEP_S = 0.004
SCENES = (1, 1.2, 1.4, 1, 1.6, 1.2, 1, 1.4)  # seconds: 8 segments, 245 frames


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("scenes") / "film.mp4", SCENES)


@pytest.fixture(scope="module")
def undisturbed(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    video = _keep(folder, scenes)
    server = Process(folder, folder / "log", 0.0)
    try:
        job = server.ask("/edit-video", {"videoId": video, "timeline": {"edits": []}})["job_id"]
        server.until(job, "DONE")
        result: bytes = server.ask(f"/jobs/{job}/result")
        return result
    finally:
        server.kill()


def _keep(folder: Path, film: Path) -> str:
    kept = Kept.open(str(folder))
    try:
        return add_film(kept, film)
    finally:
        kept.close()


def _check(folder: Path, scenes: Path, undisturbed: bytes, when: list[Callable[[Process, str], None]]) -> str:
    """Each of `when` waits for its moment of one run of the server, which is then killed. What was logged."""
    video, log = _keep(folder, scenes), folder / "log"
    job = ""
    for moment in when:
        server = Process(folder, log, STEP_S)
        try:
            if not job:
                job = server.ask("/edit-video", {"videoId": video, "timeline": {"edits": []}})["job_id"]
            moment(server, job)
        finally:
            server.kill()
    server = Process(folder, log, STEP_S)
    try:
        done = server.until(job, "DONE")
        assert server.ask(f"/jobs/{job}/result") == undisturbed
    finally:
        server.kill()
    assert done["attempt"] == 1
    said = log.read_text()
    rendered = Counter(re.findall(r"segment (\d+) rendered", said))
    reused = Counter(re.findall(r"segment (\d+) was rendered already", said))
    assert set(rendered) | set(reused) == {str(number) for number in range(len(SCENES))}
    assert max(rendered.values()) == 1, (rendered, said[-4000:])
    return said


def _frames(count: int) -> Callable[[Process, str], None]:
    def moment(server: Process, job: str) -> None:
        deadline_s = time.monotonic() + 30
        while (found := server.ask(f"/jobs/{job}"))["framesDone"] < count:
            if found["status"] == "DONE" or time.monotonic() > deadline_s:
                return
            time.sleep(0.005)

    return moment


def _after(seconds: float) -> Callable[[Process, str], None]:
    return lambda server, job: time.sleep(seconds)


@pytest.mark.timeout(120)
def test_killed_twice_in_mid_render(tmp_path: Path, scenes: Path, undisturbed: bytes) -> None:
    said = _check(tmp_path, scenes, undisturbed, [_frames(40), _frames(150)])
    assert said.count("segments of a server that is gone") >= 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_ten_random_moments(tmp_path: Path, scenes: Path, undisturbed: bytes) -> None:
    """While it is cut, rendered, put together: whenever that is."""
    chance = random.Random(6)
    _check(
        tmp_path, scenes, undisturbed,
        [_after(chance.uniform(0.0, 0.9)) for _ in range(10)],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_killed_while_it_puts_the_film_together(tmp_path: Path, scenes: Path, undisturbed: bytes) -> None:
    def assembling(server: Process, job: str) -> None:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            found = server.ask(f"/jobs/{job}")
            if found["stage"] == "assembling" or found["status"] == "DONE":
                return
            time.sleep(0.002)  # a core of its own would keep the server waiting

    _check(tmp_path, scenes, undisturbed, [assembling, _after(0.1), _after(0.3)])

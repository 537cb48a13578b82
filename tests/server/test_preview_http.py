"""A film watched live over WebRTC: it plays at once, is sought in, stopped, and edited in mid-stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from visitor import SDP, Served, serving

from gpu.film.play import FilmPlayer
from gpu.film.timeline import Step
from gpu.types import Edit
from server.routes import previews
from tests.gpu.film.small_film import make_film, number_of

pytestmark = pytest.mark.realtime  # films at their pace over WebRTC


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", 180)


class Viewer:
    """Receives only, and speaks on the data channel."""

    def __init__(self, served: Served) -> None:
        self._served, self.pc = served, RTCPeerConnection()
        self.numbers: list[int] = []
        self.said: list[dict[str, Any]] = []
        self.luma = 0.0
        self._channel = self.pc.createDataChannel("edits")
        self._channel.on("message", lambda data: self.said.append(msgspec.json.decode(data)))
        self.pc.addTransceiver("video", direction="recvonly")
        self.pc.on("track", lambda track: setattr(self, "_task", asyncio.ensure_future(self._watch(track))))
        self._task: asyncio.Task[None] | None = None

    async def open(self, path: str, status: int = 201) -> aiohttp.ClientResponse:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        reply = await self._served.http.post(
            self._served.base + path, data=self.pc.localDescription.sdp, headers=SDP
        )
        text = await reply.text()
        assert reply.status == status, text
        if status == 201:
            await self.pc.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return reply

    async def _watch(self, track: Any) -> None:
        while True:
            frame = await track.recv()
            luma = frame.to_ndarray(format="yuv420p")[: frame.height]
            self.luma = float(luma.mean())
            self.numbers.append(number_of(self.luma))

    def say(self, **message: Any) -> None:
        self._channel.send(msgspec.json.encode(message).decode())

    def last(self, kind: str) -> dict[str, Any]:
        return next((each for each in reversed(self.said) if each["type"] == kind), {})

    async def until(self, so: Callable[[], bool], limit_s: float = 15.0) -> None:
        async with asyncio.timeout(limit_s):
            while not so():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.pc.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def watching(tmp_path: Path, film: Path, **settings: Any) -> AsyncIterator[tuple[Served, Viewer, str]]:
    async with serving(data_dir=str(tmp_path), **settings) as served:
        form = aiohttp.FormData()
        form.add_field("file", film.read_bytes(), filename="film.mp4")  # noqa: ASYNC240
        reply = await served.http.post(served.base + "/videos", data=form)
        video = (await reply.json())["id"]
        viewer = Viewer(served)
        async with asyncio.timeout(20):
            while (await (await served.http.get(f"{served.base}/videos/{video}")).json())["state"] != "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        try:
            yield served, viewer, video
        finally:
            await viewer.close()


def near(numbers: list[int], wanted: int, off: int = 12) -> bool:
    return bool(numbers) and abs(numbers[-1] - wanted) <= off


async def test_it_plays_from_the_chosen_place_and_is_sought_in(tmp_path: Path, film: Path) -> None:
    async with watching(tmp_path, film) as (served, viewer, video):
        await viewer.open(f"/videos/{video}/preview?at=4")
        await viewer.until(lambda: near(viewer.numbers, 100))
        viewer.say(type="seek", at=1.0)
        await viewer.until(lambda: near(viewer.numbers, 25))
        viewer.say(type="pause")
        await viewer.until(lambda: viewer.last("position").get("playing") is False)
        at = viewer.last("position")["at"]
        await asyncio.sleep(0.8)
        assert viewer.last("position")["at"] == at
        viewer.say(type="seek", at=6.0)
        await viewer.until(lambda: near(viewer.numbers, 150))
        assert viewer.last("position")["duration"] == 7.2
        viewer.say(type="resume")
        await viewer.until(lambda: viewer.last("position")["playing"])
        (session,) = served.state.sessions.all()
        await session.end("deleted", "the test ends it")


async def test_an_instruction_changes_it_in_mid_stream_and_while_it_stands(
    tmp_path: Path, film: Path
) -> None:
    async with watching(tmp_path, film, model="nano") as (_, viewer, video):
        await viewer.open(f"/videos/{video}/preview?at=3&prompt=")
        await viewer.until(lambda: near(viewer.numbers, 78, 20))
        viewer.say(type="pause")
        await viewer.until(lambda: viewer.last("position").get("playing") is False)
        await asyncio.sleep(0.5)
        before = viewer.luma
        viewer.say(type="edit", revision=1, prompt="make it night", transitionMs=0)
        await viewer.until(lambda: viewer.last("applied").get("revision") == 1)
        await viewer.until(lambda: viewer.luma < before - 5)


async def test_less_is_said_of_what_the_timeline_has_in_force(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (Step(0, Edit(1, "make it sepia", 0.8)), Step(90_000, Edit(2, "make it night", 0.8)))
    monkeypatch.setattr(previews, "FilmPlayer", lambda path, at, _steps: FilmPlayer(path, at, steps))
    async with watching(tmp_path, film, model="nano") as (_, viewer, video):
        await viewer.open(f"/videos/{video}/preview?at=3")
        await viewer.until(lambda: viewer.last("applied").get("revision") == 0)
        viewer.say(type="edit", revision=1, prompt="half of that", transitionMs=0)
        await viewer.until(lambda: viewer.last("applied").get("revision") == 1)
        received = viewer.last("received")
        assert (received["prompt"], received["strength"]) == ("make it night", 0.4)
        assert received["note"] == "at a strength of 40%: night at 34%"


async def test_a_camera_cannot_be_sought_in(tmp_path: Path) -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        visitor.say(type="seek", at=1.0)
        said = await visitor.hears("error", code="no-film")
        assert "preview" in said["message"]


async def test_what_cannot_be_shown_is_refused(tmp_path: Path, film: Path) -> None:
    async with watching(tmp_path, film) as (served, viewer, video):
        await viewer.open("/videos/nothing/preview", 404)
        await viewer.open(f"/videos/{video}/preview?at=x", 400)
        await viewer.open(f"/videos/{video}/preview?at=-1", 400)
        await viewer.open("/jobs/nothing/preview", 404)
        assert len(served.state.sessions) == 0


async def _closed(made: list[FilmPlayer]) -> None:
    """Each player that was opened has ended its child."""
    async with asyncio.timeout(10):
        while any(psutil.pid_exists(player._reader.pid) for player in made):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> list[FilmPlayer]:
    """All that a server opens, held: nobody but their owner ends them."""
    made: list[FilmPlayer] = []

    def opened(*how: Any) -> FilmPlayer:
        made.append(FilmPlayer(*how))
        return made[-1]

    monkeypatch.setattr(previews, "FilmPlayer", opened)
    return made


async def test_a_preview_that_is_refused_leaves_no_process(
    tmp_path: Path, film: Path, players: list[FilmPlayer]
) -> None:
    async with watching(tmp_path, film, max_sessions=1) as (served, viewer, video):
        url = f"{served.base}/videos/{video}/preview"
        for query, body, status in (("", "no offer", 400), ("?model=none", "v=0", 400)):
            async with served.http.post(url + query, data=body, headers=SDP) as reply:
                assert reply.status == status, await reply.text()
        await viewer.open(f"/videos/{video}/preview")
        other = Viewer(served)
        await other.open(f"/videos/{video}/preview", 503)
        await other.close()
        assert len(players) == 4
        (session,) = served.state.sessions.all()
        await session.end("deleted", "the test ends it")
        await _closed(players)


async def test_who_leaves_while_the_film_is_opened_leaves_no_process(
    tmp_path: Path, film: Path, players: list[FilmPlayer]
) -> None:
    async with watching(tmp_path, film) as (served, _, video):
        path = served.state.kept.blobs.open_local(f"videos/{video}/film")  # type: ignore[union-attr]
        assert served.state.films is not None
        opening = asyncio.create_task(previews._player(served.state.films, path, 0.0, ()))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert served.state.films.opening == 0
        await _closed(players)


async def test_a_film_deleted_while_it_is_watched_plays_on(tmp_path: Path, film: Path) -> None:
    async with watching(tmp_path, film) as (served, viewer, video):
        await viewer.open(f"/videos/{video}/preview?at=1")
        await viewer.until(lambda: bool(viewer.numbers))
        async with served.http.delete(f"{served.base}/videos/{video}") as reply:
            assert reply.status == 204
        viewer.say(type="seek", at=5.0)
        await viewer.until(lambda: near(viewer.numbers, 125))
        await viewer.open(f"/videos/{video}/preview", 404)


@pytest.mark.parametrize("how", ["paused", "at its end"])
async def test_a_film_that_stands_in_a_forgotten_tab_gives_its_place_to_who_waits(
    tmp_path: Path, film: Path, how: str
) -> None:
    async with watching(tmp_path, film, max_sessions=1, gives_way_s=0.5) as (served, viewer, video):
        await viewer.open(f"/videos/{video}/preview?at=6")
        await viewer.until(lambda: bool(viewer.numbers))
        if how == "paused":
            viewer.say(type="pause")
        await viewer.until(lambda: viewer.last("position").get("playing") is False)
        (session,) = served.state.sessions.all()
        await viewer.until(lambda: session.stood_s() > 0.6)
        await served.visitor().connect()
        await viewer.until(lambda: viewer.last("error").get("code") == "paused")


async def test_a_film_that_stands_ends_after_a_while_and_one_that_plays_does_not(
    tmp_path: Path, film: Path
) -> None:
    async with watching(tmp_path, film, paused_s=1.5) as (_, viewer, video):
        await viewer.open(f"/videos/{video}/preview?at=4")
        await viewer.until(lambda: viewer.last("position").get("at", 0) > 6.5)  # longer than paused_s
        assert not viewer.last("error")
        await viewer.until(lambda: viewer.last("error").get("code") == "paused")
        assert viewer.last("position")["at"] > 7

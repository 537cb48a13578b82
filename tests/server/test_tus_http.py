"""Films come in: by tus (our own words and the Python client), by one form; looked into, listed, deleted."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from visitor import Served, serving

from gpu.film.types import FilmError
from server.uploads import appending, checking
from tests.gpu.film.small_film import make_film

TUS = {"Tus-Resumable": "1.0.0"}
STREAM = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", 50, sound=True).read_bytes()


@asynccontextmanager
async def films(tmp_path: Path, **settings: Any) -> AsyncIterator[Served]:
    async with serving(data_dir=str(tmp_path / "data"), **settings) as served:
        yield served


async def ask(served: Served, method: str, path: str, status: int, **how: Any) -> aiohttp.ClientResponse:
    reply = await served.http.request(method, served.base + path, **how)
    assert reply.status == status, (reply.status, await reply.text())
    await reply.read()
    return reply


async def create(
    served: Served, length: int, name: str = "clip.mp4", **headers: str
) -> aiohttp.ClientResponse:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    return await ask(
        served, "POST", "/files", 201,
        headers={**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata, **headers},
    )  # fmt: skip


async def patch(
    served: Served, path: str, offset: int, data: Any, status: int = 204, **headers: str
) -> aiohttp.ClientResponse:
    return await ask(
        served, "PATCH", path, status, data=data, headers={**STREAM, "Upload-Offset": str(offset), **headers}
    )


async def video(served: Served, video_id: str) -> dict[str, Any]:
    reply = await ask(served, "GET", f"/videos/{video_id}", 200)
    made: dict[str, Any] = await reply.json()
    return made


async def settled(served: Served, video_id: str) -> dict[str, Any]:
    """Once it has been looked into."""
    async with asyncio.timeout(20):
        while (found := await video(served, video_id))["state"] in ("uploading", "checking"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found


async def looked(served: Served) -> None:
    """Every look is over: a refused film is said to be so just before its bytes go."""
    assert served.state.films is not None
    async with asyncio.timeout(20):
        while served.state.films.checking._tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_what_is_spoken_is_said_before_a_byte_is_sent(tmp_path: Path) -> None:
    async with films(tmp_path, most_video_bytes=1000) as served:
        reply = await ask(served, "OPTIONS", "/files", 204)
        assert reply.headers["Tus-Version"] == "1.0.0"
        assert reply.headers["Tus-Max-Size"] == "1000"
        assert set(reply.headers["Tus-Extension"].split(",")) >= {
            "creation", "termination", "expiration", "checksum",
        }  # fmt: skip
        refused = await ask(served, "POST", "/files", 413, headers={**TUS, "Upload-Length": "1001"})
        assert refused.content_type == "application/problem+json"
        assert refused.headers["Tus-Resumable"] == "1.0.0"
        old = await ask(served, "POST", "/files", 412, headers={"Tus-Resumable": "0.2", "Upload-Length": "1"})
        assert old.headers["Tus-Version"] == "1.0.0"


async def test_where_many_films_wait_to_be_looked_into_others_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with films(tmp_path) as served:
        monkeypatch.setattr("server.uploads.films.MOST_WAITING", 0)
        form = aiohttp.FormData()
        form.add_field("file", b"x", filename="x.mp4")
        for path, given in (
            ("/files", {"headers": {**TUS, "Upload-Length": "9"}}),
            ("/videos", {"data": form}),
        ):
            refused = await ask(served, "POST", path, 503, **given)
            assert "wait to be looked into: send this one in a while" in await refused.text()
            assert refused.headers["Retry-After"] == "60"


async def test_a_film_in_pieces_becomes_a_video(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        made = await create(served, len(film), "Mein Film ü.mp4")
        path, video_id = made.headers["Location"], made.headers["X-Video-Id"]
        assert (await video(served, video_id))["state"] == "uploading"
        third = len(film) // 3
        await patch(served, path, 0, film[:third])
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Offset"] == str(third)
        assert where.headers["Upload-Length"] == str(len(film))
        assert "Upload-Expires" in where.headers
        assert where.headers["Cache-Control"] == "no-store"
        await patch(served, path, 0, film[:10], 409)
        done = await patch(served, path, third, film[third:])
        assert done.headers["Upload-Offset"] == str(len(film))
        found = await settled(served, video_id)
        assert found["state"] == "ready"
        assert (found["name"], found["bytes"]) == ("Mein Film ü.mp4", len(film))
        assert (found["width"], found["height"], found["frames"], found["audio"]) == (64, 48, 50, "aac")
        assert found["duration"] == 2.0
        whole = await ask(served, "HEAD", path, 200, headers=TUS)  # the answer may have been lost
        assert whole.headers["Upload-Offset"] == str(len(film))
        about = await (await ask(served, "GET", f"/videos/{video_id}/thumbnails", 200)).json()
        assert about["at"][0] == 0
        assert len(about["at"]) == 50
        picture = await ask(served, "GET", about["image"], 200)
        assert (await picture.read())[:2] == b"\xff\xd8"
        listed = await (await ask(served, "GET", "/videos", 200)).json()
        assert [each["id"] for each in listed["videos"]] == [video_id]
        kept = served.state.kept
        assert kept is not None
        assert (
            hashlib.sha256(kept.blobs.get(f"videos/{video_id}/film")).digest()
            == hashlib.sha256(film).digest()
        )
        await ask(served, "DELETE", f"/videos/{video_id}", 204)
        await ask(served, "GET", f"/videos/{video_id}", 404)
        assert list(kept.blobs.list()) == []


async def test_the_first_bytes_may_come_with_the_creation(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        made = await ask(
            served, "POST", "/files", 201, data=film, headers={**STREAM, "Upload-Length": str(len(film))}
        )
        assert made.headers["Upload-Offset"] == str(len(film))
        assert (await settled(served, made.headers["X-Video-Id"]))["state"] == "ready"


async def test_a_length_may_be_said_later(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        made = await ask(served, "POST", "/files", 201, headers={**TUS, "Upload-Defer-Length": "1"})
        path = made.headers["Location"]
        await patch(served, path, 0, film[:100])
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Defer-Length"] == "1"
        await patch(served, path, 100, film[100:], **{"Upload-Length": str(len(film))})
        assert (await settled(served, made.headers["X-Video-Id"]))["state"] == "ready"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
async def test_bytes_that_do_not_fit_their_sum_do_not_count(
    tmp_path: Path, film: bytes, algorithm: str
) -> None:
    async with films(tmp_path) as served:
        path = (await create(served, len(film))).headers["Location"]
        right = base64.b64encode(hashlib.new(algorithm, film[:500]).digest()).decode()
        await patch(served, path, 0, film[1:501], 460, **{"Upload-Checksum": f"{algorithm} {right}"})
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Offset"] == "0"
        await patch(served, path, 0, film[:500], **{"Upload-Checksum": f"{algorithm} {right}"})


async def test_a_request_that_breaks_off_counts_as_far_as_it_came(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        path = (await create(served, len(film))).headers["Location"]
        sent = asyncio.Event()

        async def half() -> AsyncIterator[bytes]:
            yield film[:1000]
            sent.set()
            await asyncio.sleep(30)

        going = asyncio.create_task(
            served.http.patch(served.base + path, data=half(), headers={**STREAM, "Upload-Offset": "0"})
        )
        await sent.wait()
        await asyncio.sleep(0.3)
        await patch(served, path, 0, b"x", 423)  # one writer at a time
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        async with asyncio.timeout(10):
            while True:
                where = await ask(served, "HEAD", path, 200, headers=TUS)
                if where.headers["Upload-Offset"] == "1000":
                    break
                await asyncio.sleep(0.05)
        await patch(served, path, 1000, film[1000:])


async def test_more_than_was_said_is_not_taken(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        path = (await create(served, 100)).headers["Location"]
        await patch(served, path, 0, film[:101], 413)
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Offset"] == "0"


async def test_given_up_and_expired_uploads_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with films(tmp_path) as served:
        made = await create(served, 100)
        await patch(served, made.headers["Location"], 0, b"x" * 50)
        await ask(served, "DELETE", made.headers["Location"], 204, headers=TUS)
        await ask(served, "HEAD", made.headers["Location"], 404, headers=TUS)
        await ask(served, "GET", f"/videos/{made.headers['X-Video-Id']}", 404)
        monkeypatch.setattr("server.uploads.receiver.EXPIRES_S", -1.0)
        late = await create(served, 100)
        await ask(served, "HEAD", late.headers["Location"], 404, headers=TUS)
        assert list((tmp_path / "data" / "uploads").iterdir()) == []


async def test_the_quota_is_said_before_a_byte_is_sent(tmp_path: Path) -> None:
    async with films(tmp_path, quota_bytes=1000) as served:
        await create(served, 900)
        reply = await ask(served, "POST", "/files", 413, headers={**TUS, "Upload-Length": "101"})
        assert "quota_bytes" in await reply.text()


async def test_what_is_no_film_is_refused_with_a_reason_and_its_bytes_go(tmp_path: Path) -> None:
    async with films(tmp_path) as served:
        made = await ask(
            served, "POST", "/files", 201, data=b"#EXTM3U\nhttp://127.0.0.1/x\n" * 20,
            headers={**STREAM, "Upload-Length": str(27 * 20)},
        )  # fmt: skip
        found = await settled(served, made.headers["X-Video-Id"])
        assert found["state"] == "refused"
        assert found["problem"]
        assert str(tmp_path) not in found["problem"]
        await looked(served)
        assert served.state.kept is not None
        assert list(served.state.kept.blobs.list()) == []


async def test_a_restart_goes_on_with_uploads_and_with_looking(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = checking._look_into

    def never(path: Path) -> Any:
        raise SystemExit  # as if the server had been killed there

    async with films(tmp_path) as served:
        path = (await create(served, len(film))).headers["Location"]
        await patch(served, path, 0, film[:1000])
    async with films(tmp_path) as served:
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Offset"] == "1000"
        waits: Callable[[Path], Awaitable[Any]] | Any = asyncio.Event()
        monkeypatch.setattr(checking.Checking, "begin", lambda self, video_id: waits.set())
        done = await patch(served, path, 1000, film[1000:])
        assert (await video(served, done.headers["X-Video-Id"]))["state"] == "checking"
    monkeypatch.undo()
    assert checking._look_into is look
    async with films(tmp_path) as served:
        assert (await settled(served, done.headers["X-Video-Id"]))["state"] == "ready"


async def test_what_came_counts_while_more_comes(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed says no last words: what is noted by then is all that it knows."""
    monkeypatch.setattr(appending, "_NOTED_S", 0.05)
    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, 2000, 100):
            yield film[at : at + 100]
            await asyncio.sleep(0.02)
        await more.wait()

    async with films(tmp_path) as served:
        path = (await create(served, len(film))).headers["Location"]
        sending = asyncio.create_task(patch(served, path, 0, body()))
        kept = served.state.kept
        assert kept is not None
        async with asyncio.timeout(20):
            while (await kept.run(kept.uploads.get, path.rsplit("/", 1)[1])).offset < 500:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        more.set()
        await sending


async def test_a_form_brings_a_film_in_one_go(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        form = aiohttp.FormData()
        form.add_field("note", "passed over")
        form.add_field("file", film, filename="form.mp4")
        made = await (await ask(served, "POST", "/videos", 201, data=form)).json()
        assert (await settled(served, made["id"]))["name"] == "form.mp4"
        other = aiohttp.FormData()
        other.add_field("film", film, filename="form.mp4")
        assert "named `file`" in await (await ask(served, "POST", "/videos", 400, data=other)).text()
        await ask(served, "POST", "/videos", 415, data=b"x")


async def test_a_server_that_cannot_keep_anything_edits_live_all_the_same(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    async with serving(data_dir=str(in_the_way)) as served:
        assert served.state.kept is None
        reply = await ask(served, "GET", "/videos", 503)
        problem = await reply.json(content_type=None)
        assert "films are not there yet" in problem["detail"]
        assert "this server's folder cannot be written: its log" in problem["detail"]
        assert str(in_the_way) not in problem["detail"]
        assert 1 <= int(reply.headers["Retry-After"]) <= 16
        await served.visitor().connect()


async def test_the_python_client_uploads_in_chunks(tmp_path: Path, film: bytes) -> None:
    client = pytest.importorskip("tusclient.client")
    source = tmp_path / "film.mp4"
    source.write_bytes(film)
    async with films(tmp_path) as served:

        def send() -> str:
            uploader = client.TusClient(served.base + "/files").uploader(
                str(source), chunk_size=len(film) // 3, metadata={"filename": "py.mp4"}, upload_checksum=True
            )
            uploader.upload_chunk()  # then as if it had been interrupted
            again = client.TusClient(served.base + "/files").uploader(
                str(source), chunk_size=len(film) // 3, url=uploader.url
            )
            assert again.offset == len(film) // 3
            again.upload()
            return str(uploader.url)

        await asyncio.to_thread(send)
        listed = await (await ask(served, "GET", "/videos", 200)).json()
        (each,) = listed["videos"]
        assert (await settled(served, each["id"]))["state"] == "ready"
        assert each["name"] == "py.mp4"


def test_a_refusal_does_not_say_where_files_lie() -> None:
    path = Path("/var/lib/relens/videos/x")
    assert str(path) not in checking._without(str(FilmError(f"{path} is no film")), path)

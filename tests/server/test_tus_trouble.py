"""Uploads when things go wrong: hostile films, full disks, films deleted on the way, other servers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import io
import os
import resource
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from server.kept.errors import StorageUnavailable
from server.uploads import appending, checking
from tests.gpu.film import hostile
from tests.gpu.film.small_film import make_film
from tests.server.test_tus_http import STREAM, TUS, ask, create, films, looked, patch, settled, video

HOSTILE: dict[str, Callable[[Path], Path]] = {
    "a playlist": hostile.text(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" * 30),
    "a list of files": hostile.text(b"ffconcat version 1.0\nfile /etc/passwd\n" * 30),
    "a large picture": hostile.large_frame,
    "two hundred tracks": hostile.many_tracks,
    "only sound": hostile.only_sound,
    "samples elsewhere": hostile.outside,
    "noise": hostile.text(bytes(range(256)) * 64),
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", 50).read_bytes()


def readers() -> set[int]:
    """Children that read films and live; one may end while it is looked at."""
    alive = set()
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("gpu.film" in word for word in each.cmdline()) and each.status() != "zombie":
                alive.add(each.pid)
    return alive


async def test_hostile_films_are_refused_with_a_reason_and_no_process_stays(tmp_path: Path) -> None:
    async with films(tmp_path) as served:
        ids: dict[str, str] = {}
        for what, make in HOSTILE.items():
            folder = tmp_path / what
            folder.mkdir()
            data = (await asyncio.to_thread(make, folder)).read_bytes()
            made = await create(served, len(data))
            await patch(served, made.headers["Location"], 0, data)
            ids[what] = made.headers["X-Video-Id"]
        for what, video_id in ids.items():
            found = await settled(served, video_id)
            assert found["state"] == "refused", what
            assert len(found["problem"]) > 10, what
            assert "defect" not in found["problem"], what
            assert str(tmp_path) not in found["problem"], what
        await looked(served)
        assert served.state.kept is not None
        assert list(served.state.kept.blobs.list()) == []
    async with asyncio.timeout(10):
        while readers():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond 20 MB; its other files stay below: as a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
async def test_a_disk_that_fills_up_is_said_and_what_counted_still_counts(tmp_path: Path) -> None:
    async with films(tmp_path) as served:
        path = (await create(served, 40_000_000)).headers["Location"]
        await patch(served, path, 0, io.BytesIO(bytes(15_000_000)))
        full = await patch(served, path, 15_000_000, io.BytesIO(bytes(25_000_000)), 507)
        assert full.content_type == "application/problem+json"
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Offset"] == "15000000"
        await patch(served, path, 15_000_000, b"x" * 100)  # there is room again


async def test_a_film_deleted_on_its_way_leaves_nothing(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        made = await create(served, len(film))
        path, video_id = made.headers["Location"], made.headers["X-Video-Id"]
        await patch(served, path, 0, film[:1000])
        await ask(served, "DELETE", f"/videos/{video_id}", 204)
        assert list((tmp_path / "data" / "uploads").iterdir()) == []
        await patch(served, path, 1000, film[1000:], 404)
        assert list((tmp_path / "data" / "uploads").iterdir()) == []


async def test_a_film_deleted_while_it_is_looked_into_leaves_nothing(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, go_on, began = checking._look_into, threading.Event(), threading.Event()

    def held(*how: Any) -> Any:
        found = look(*how)
        began.set()
        assert go_on.wait(20)
        return found

    monkeypatch.setattr(checking, "_look_into", held)
    async with films(tmp_path) as served:
        made = await create(served, len(film))
        await patch(served, made.headers["Location"], 0, film)
        assert await asyncio.to_thread(began.wait, 20)
        await ask(served, "DELETE", f"/videos/{made.headers['X-Video-Id']}", 204)
        go_on.set()
        await looked(served)
        assert served.state.kept is not None
        assert list(served.state.kept.blobs.list()) == []


async def test_what_another_server_writes_is_left_alone(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with films(tmp_path) as served:
        path = (await create(served, len(film))).headers["Location"]
        await patch(served, path, 0, film[:100])
        (file,) = (tmp_path / "data" / "uploads").iterdir()
        other = os.open(file, os.O_RDWR)  # as another server's
        fcntl.flock(other, fcntl.LOCK_EX)
        await patch(served, path, 100, film[100:], 423)
        await ask(served, "DELETE", path, 423, headers=TUS)
        assert served.state.films is not None
        monkeypatch.setattr("server.uploads.receiver.time.time", lambda: 1e11)  # long expired
        await served.state.films.receiver.give_up_expired()
        monkeypatch.undo()
        assert file.exists()
        os.close(other)
        await patch(served, path, 100, film[100:])


async def test_a_storage_that_was_away_does_not_lose_a_whole_upload(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with films(tmp_path) as served:
        made = await create(served, len(film))
        path = made.headers["Location"]
        kept = served.state.kept
        assert kept is not None

        def away(*args: Any) -> int:
            raise StorageUnavailable("the bucket is away")

        monkeypatch.setattr(kept.blobs, "put", away)
        await patch(served, path, 0, film, 503)
        await ask(served, "HEAD", path, 503, headers=TUS)  # else a client would think it done
        monkeypatch.undo()
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert where.headers["Upload-Offset"] == where.headers["Upload-Length"]
        await patch(served, path, len(film), b"")  # once more does no harm
        assert (await settled(served, made.headers["X-Video-Id"]))["state"] == "ready"


async def test_a_whole_upload_is_kept_after_a_restart(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: Any, upload: Any) -> None:
        raise StorageUnavailable("the bucket is away")

    monkeypatch.setattr("server.uploads.receiver.Receiver.finish", never)
    async with films(tmp_path) as served:
        made = await create(served, len(film))
        await patch(served, made.headers["Location"], 0, film, 503)
    monkeypatch.undo()
    async with films(tmp_path) as served:  # nobody asks
        assert (await settled(served, made.headers["X-Video-Id"]))["state"] == "ready"


async def test_progress_counts_while_a_request_still_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "_STEP_BYTES", 1000)
    monkeypatch.setattr(appending, "_NOTED_BYTES", 1000)
    async with films(tmp_path) as served:
        path = (await create(served, 5000)).headers["Location"]
        go_on = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:  # chunked: no Content-Length
            yield b"x" * 2000
            await go_on.wait()
            yield b"y" * 1000

        going = asyncio.create_task(
            served.http.patch(served.base + path, data=slowly(), headers={**STREAM, "Upload-Offset": "0"})
        )
        async with asyncio.timeout(10):
            while True:
                where = await ask(served, "HEAD", path, 200, headers=TUS)
                if where.headers["Upload-Offset"] == "2000":
                    break
                await asyncio.sleep(0.02)
        go_on.set()
        reply = await going
        assert (reply.status, reply.headers["Upload-Offset"]) == (204, "3000")


async def test_the_quota_counts_a_length_that_nobody_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "_STEP_BYTES", 1000)
    monkeypatch.setattr(appending, "_NOTED_BYTES", 1000)
    async with films(tmp_path, quota_bytes=5000) as served:
        made = await ask(served, "POST", "/files", 201, headers={**TUS, "Upload-Defer-Length": "1"})
        path = made.headers["Location"]
        sent = [b"x" * 1000] * 50

        async def slowly() -> AsyncIterator[bytes]:
            for piece in sent:
                yield piece
                await asyncio.sleep(0.01)

        reply = await served.http.patch(
            served.base + path, data=slowly(), headers={**STREAM, "Upload-Offset": "0"}
        )
        assert reply.status == 413, await reply.text()
        where = await ask(served, "HEAD", path, 200, headers=TUS)
        assert int(where.headers["Upload-Offset"]) <= 5000


async def test_a_creation_that_fails_leaves_no_video(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path) as served:
        wrong = base64.b64encode(b"0" * 20).decode()
        headers = {**STREAM, "Upload-Length": str(len(film)), "Upload-Checksum": f"sha1 {wrong}"}
        await ask(served, "POST", "/files", 460, data=film, headers=headers)
        await ask(served, "POST", "/files", 400, headers={**TUS, "Upload-Length": "0"})
        assert (await (await ask(served, "GET", "/videos", 200)).json())["videos"] == []
        assert list((tmp_path / "data" / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\films\\a.mp4", "a.mp4"), ("a\x00b\r\nc.mp4", "abc.mp4"),
        ("\u202egpj.mp4", "gpj.mp4"), ("..", "film"), ("/", "film"), ("ü" * 300, "ü" * 200),
    ],
)  # fmt: skip
async def test_a_name_is_a_name(tmp_path: Path, said: str, shown: str) -> None:
    async with films(tmp_path) as served:
        made = await create(served, 10, said)
        assert (await video(served, made.headers["X-Video-Id"]))["name"] == shown


async def test_a_form_that_breaks_off_is_refused_and_leaves_nothing(tmp_path: Path, film: bytes) -> None:
    async with films(tmp_path, most_video_bytes=len(film)) as served:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        for body in (
            b"",
            b"--b",
            b"--b--\r\n",
            head,
            head + b"\r\n--b--\r\n",
            b"no form",
            b"--b\r\nx\r\n\r\n",
        ):
            await ask(served, "POST", "/videos", 400, data=body, headers=kind)
        await ask(served, "POST", "/videos", 400, data=b"x", headers={"Content-Type": "multipart/form-data"})
        large = head + b"x" * (len(film) + 1) + b"\r\n--b--\r\n"
        await ask(served, "POST", "/videos", 413, data=large, headers=kind)
        assert (await (await ask(served, "GET", "/videos", 200)).json())["videos"] == []
        assert list((tmp_path / "data" / "uploads").iterdir()) == []


async def test_an_allowed_pages_browser_may_speak_tus(tmp_path: Path) -> None:
    page = "https://films.example"
    async with films(tmp_path, allowed_origins=(page,)) as served:
        asked = {
            "Origin": page, "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "tus-resumable,upload-offset,content-type",
        }  # fmt: skip
        reply = await ask(served, "OPTIONS", "/files/x", 204, headers=asked)
        allowed = {word.strip().lower() for word in reply.headers["Access-Control-Allow-Headers"].split(",")}
        assert allowed >= {
            "tus-resumable", "upload-offset", "upload-length", "upload-metadata", "upload-checksum",
            "upload-defer-length", "content-type",
        }  # fmt: skip
        made: aiohttp.ClientResponse = await create(served, 10, Origin=page)
        shown = {word.strip() for word in made.headers["Access-Control-Expose-Headers"].split(",")}
        assert shown >= {"Location", "Upload-Offset", "Upload-Expires", "Tus-Resumable", "X-Video-Id"}
        await ask(
            served, "POST", "/files", 403,
            headers={**TUS, "Upload-Length": "1", "Origin": "https://other.example"},
        )  # fmt: skip

"""The page's files: how long each may be kept, what may run in it, and nothing outside its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from visitor import serving

from server.routes.page import HASHED


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>the page</title>", encoding="utf-8")
    for name in ("watch", "dock"):
        (built / f"{name}.html").write_text(f"<!doctype html><title>{name}</title>", encoding="utf-8")
    (built / "assets" / "main.AB12CD34.js").write_text("1", encoding="utf-8")
    (built / "assets" / "nano-night.AB12CD34.webp").write_bytes(b"RIFF")
    (built / "relens-client.js").write_text("2", encoding="utf-8")
    (built / "sample.mp4").write_bytes(bytes(range(100)))
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (built / "link").symlink_to(tmp_path / "secret")
    return built


async def test_page_is_asked_for_again_and_hashed_files_are_kept(dist: Path) -> None:
    async with serving(web_dir=str(dist)) as served:
        async with served.http.get(served.base + "/") as reply:
            assert reply.status == 200
            assert "the page" in await reply.text()
            assert reply.headers["Cache-Control"] == "no-cache"
            assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
            assert "camera=(self)" in reply.headers["Permissions-Policy"]
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
        async with served.http.get(served.base + "/assets/main.AB12CD34.js") as reply:
            assert "immutable" in reply.headers["Cache-Control"]
            assert "javascript" in reply.content_type
        async with served.http.get(served.base + "/assets/nano-night.AB12CD34.webp") as reply:
            assert "immutable" in reply.headers["Cache-Control"]
            assert reply.content_type == "image/webp"
        async with served.http.get(served.base + "/relens-client.js") as reply:
            assert reply.headers["Cache-Control"] == "no-cache"
        async with served.http.head(served.base + "/") as reply:
            assert reply.status == 200


@pytest.mark.parametrize("name", ["watch", "dock"])
async def test_each_stream_has_its_pages_for_obs(dist: Path, name: str) -> None:
    async with serving(web_dir=str(dist)) as served:
        async with served.http.get(f"{served.base}/{name}/live?key=secret") as reply:
            assert reply.status == 200
            assert name in await reply.text()
            assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
            assert reply.headers["Referrer-Policy"] == "no-referrer"  # the key is in the address
        async with served.http.get(f"{served.base}/{name}/No Such Name") as reply:
            assert reply.status == 404
            assert "small letters" in (await reply.json())["remedy"]


async def test_sample_clip_is_served_in_parts(dist: Path) -> None:
    part = {"Range": "bytes=10-19"}
    async with (
        serving(web_dir=str(dist)) as served,
        served.http.get(served.base + "/sample.mp4", headers=part) as reply,
    ):
        assert reply.status == 206
        assert await reply.read() == bytes(range(10, 20))
        assert reply.content_type == "video/mp4"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/assets/..%2f..%2fsecret",
        "/link",
        "/assets",
        "/%00",
        "/" + "x" * 5_000,
    ],
)
async def test_nothing_outside_the_folder_is_served(dist: Path, path: str) -> None:
    from yarl import URL

    async with (
        serving(web_dir=str(dist)) as served,
        served.http.get(URL(served.base + path, encoded=True)) as reply,
    ):
        assert reply.status == 404
        assert "secret" not in await reply.text()


async def test_page_that_is_not_built_says_what_to_run(tmp_path: Path) -> None:
    async with serving(web_dir=str(tmp_path)) as served, served.http.get(served.base + "/") as reply:
        assert reply.status == 503
        assert "make setup" in await reply.text()
        assert reply.content_type == "text/html"


def test_names_with_a_hash_are_told_from_others() -> None:
    for name in ("main.AB12CD34.js", "main.AB12CD34.css", "main.AB12CD34.js.map", "clock.worker.ZZ99YY88.js"):
        assert HASHED.search(name), name
    for name in ("relens-client.js", "relens-clock.worker.js", "index.html", "sample.mp4"):
        assert not HASHED.search(name), name

"""A disk that is really full, and a server whose folder cannot be used: live edits go on."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from server.app import make_app
from server.config import Config
from server.kept.blobs import TRIES_S, Blobs
from server.kept.errors import DatabaseUnavailable, Full, KeptError, StorageFull, StorageUnavailable
from server.kept.kept import Kept

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
        capture_output=True,
        timeout=20,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no disk can be mounted here: this needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True, timeout=20)


def fill(path: Path) -> None:
    """Until nothing fits any more."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_what_does_not_fit_is_said_and_leaves_nothing_half(small_disk: Path) -> None:
    kept = Kept.open(str(small_disk))
    kept.blobs.put("work/a", b"a" * MIB)
    with pytest.raises(StorageFull, match="full"):
        kept.blobs.put("work/b", b"b" * 8 * MIB)
    assert not kept.blobs.exists("work/b")
    assert kept.blobs.get("work/a") == b"a" * MIB
    kept.blobs.delete("work/a")
    kept.blobs.put("work/c", b"c" * MIB)
    assert list(kept.blobs.unfinished(-10)) == []
    kept.close()


def test_the_database_goes_on_after_the_disk_was_full(small_disk: Path) -> None:
    kept = Kept.open(str(small_disk))
    made = kept.videos.create("a")
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises((DatabaseUnavailable, Full)):
        kept.videos.create("x" * 1_000_000)
    assert kept.videos.get(made.id) == made
    filler.unlink()
    assert kept.videos.create("b").name == "b"
    kept.close()


def test_a_disk_that_became_read_only_is_said_at_once(small_disk: Path, tmp_path: Path) -> None:
    kept = Kept.open(str(small_disk))
    kept.blobs.put("work/a", b"a")
    kept.close()
    blobs = Blobs(str(small_disk / "blobs"), tmp_path / "cache")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True, timeout=20)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="read-only"):
        blobs.put("work/b", b"b")
    assert time.monotonic() - began < TRIES_S / 2, "waiting does not help"
    assert blobs.get("work/a") == b"a"
    with pytest.raises(KeptError, match=r"data_dir .*cannot be written"):
        Kept.open(str(small_disk))


def test_a_full_disk_at_the_start_is_said(small_disk: Path) -> None:
    fill(small_disk / "filler")
    with pytest.raises(KeptError, match=r"room|full"):
        Kept.open(str(small_disk))


async def test_a_server_that_keeps_nothing_still_serves(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(data_dir="/proc/nowhere", model="passthrough", media="cpu")
    async with TestClient(TestServer(make_app(config))) as client:
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/models")).status == 200
        refused = await client.get("/videos")
        assert refused.status == 503
        assert (await refused.json())["type"].startswith("urn:relens:")
    assert [record.message for record in caplog.records if "data_dir /proc/nowhere" in record.message]

"""Blobs in a folder and in a bucket of a real S3 server, which is frozen, killed and started again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.kept import blobs as module
from server.kept.blob_cache import BlobCache
from server.kept.blobs import Blobs, shown
from server.kept.errors import KeptError, NotKept, StorageFull, StorageUnavailable
from server.kept.keys import check_key, job_key, video_key, work_blob
from tests.server.kept.s3_process import S3Process


def test_what_is_put_comes_back(blobs: Blobs) -> None:
    assert blobs.put("work/a", b"0123456789") == 10
    assert (blobs.get("work/a"), blobs.size("work/a")) == (b"0123456789", 10)
    assert blobs.range("work/a", 2, 5) == b"234"
    assert blobs.range("work/a", 8, 100) == b"89"
    assert b"".join(blobs.pieces("work/a", 1, 9)) == b"12345678"
    blobs.put("work/a", b"other")
    assert blobs.get("work/a") == b"other"
    blobs.put("work/empty", b"")
    assert (blobs.get("work/empty"), blobs.size("work/empty")) == (b"", 0)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 3), (5, 2), (10, 12), (11, 20)])
def test_no_range_is_said(blobs: Blobs, start: int, end: int) -> None:
    blobs.put("work/a", b"0123456789")
    began = time.monotonic()
    with pytest.raises(KeptError, match="range"):
        blobs.range("work/a", start, end)
    assert time.monotonic() - began < 5, "waiting does not help"


def test_what_is_not_there(blobs: Blobs) -> None:
    assert not blobs.exists("work/a")
    for call in (blobs.get, blobs.size, blobs.open_local, lambda key: blobs.range(key, 0, 1)):
        with pytest.raises(NotKept, match="work/a"):
            call("work/a")
    blobs.delete("work/a")
    blobs.put("work/a", b"x")
    blobs.delete("work/a")
    assert not blobs.exists("work/a")


def test_all_are_listed(blobs: Blobs) -> None:
    began = time.time()
    for number in range(12):
        blobs.put(f"work/{number}", b"x" * number)
    blobs.put("jobs/j/init.mp4", b"y")
    assert sorted((key, size) for key, size, _ in blobs.list("work")) == sorted(
        (f"work/{number}", number) for number in range(12)
    )
    assert len(list(blobs.list())) == 13
    assert all(abs(put_at - began) < 60 for _, _, put_at in blobs.list())


def test_a_large_file_goes_and_comes_in_parts(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "film"
    data = os.urandom(1 << 20) * 20  # 20 MiB: two parts
    source.write_bytes(data)
    assert blobs.put("videos/v/source", source) == len(data)
    assert max(map(len, blobs.pieces("videos/v/source", 0, len(data)))) <= module.PIECE_BYTES
    assert blobs.open_local("videos/v/source").read_bytes() == data


def test_a_local_file_follows_what_is_put(blobs: Blobs) -> None:
    blobs.put("work/a", b"first")
    assert blobs.open_local("work/a").read_bytes() == b"first"
    blobs.put("work/a", b"later")
    with blobs.local("work/a") as path:
        assert path.read_bytes() == b"later"
    blobs.delete("work/a")
    with pytest.raises(NotKept):
        blobs.open_local("work/a")


def test_writers_of_one_key_at_once_leave_one_of_theirs(blobs: Blobs) -> None:
    values = [bytes([number]) * 300_000 for number in range(6)]
    threads = [threading.Thread(target=blobs.put, args=("work/a", value)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert blobs.get("work/a") in values


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/.b",
        ".",
        "a b",
        "ä",
        "a\\b",
        "a#1",
        "a\0",
        "x" * 501,
        "a\n",
    ],
)
def test_keys_that_could_leave_the_folder_are_refused(tmp_path: Path, key: str) -> None:
    blobs = Blobs(str(tmp_path / "blobs"), tmp_path / "cache")
    for call in (blobs.get, blobs.size, blobs.delete, blobs.open_local, lambda key: blobs.put(key, b"")):
        with pytest.raises(KeptError, match="no key"):
            call(key)


@given(st.text(max_size=40))
def test_a_key_that_is_taken_stays_below_the_folder(key: str) -> None:
    try:
        check_key(key)
    except KeptError:
        return
    assert Path("/data", key).resolve().is_relative_to("/data")
    assert "\\" not in key


def test_keys_say_whose_they_are() -> None:
    assert (video_key("v", "source"), job_key("j", "init.mp4"), work_blob("w")) == (
        "videos/v/source", "jobs/j/init.mp4", "work/w",
    )  # fmt: skip
    with pytest.raises(KeptError):
        video_key("../x", "source")


def test_the_folder_holds_plain_files(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path / 'blobs'}", tmp_path / "cache")
    blobs.put("jobs/j/a", b"1")
    assert (tmp_path / "blobs" / "jobs" / "j" / "a").read_bytes() == b"1"
    assert blobs.free_bytes()
    assert not (tmp_path / "cache").exists()


def test_a_full_disk_is_said_and_nothing_half_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full stands for the disk: writing to it fails as on a full one."""
    blobs = Blobs(str(tmp_path / "blobs"), tmp_path / "cache", tries_s=0.1)

    def put(*_args: object, **_kwargs: object) -> None:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    real = blobs._store
    blobs._store = type("Full", (), {"put": staticmethod(put)})()
    with pytest.raises(StorageFull, match="full"):
        blobs.put("work/a", b"x")
    blobs._store = real
    assert not blobs.exists("work/a")


def test_half_written_files_are_found(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path / "blobs"), tmp_path / "cache")
    blobs.put("work/a", b"1")
    half = tmp_path / "blobs" / "work" / "b#3"
    half.write_bytes(b"half")
    assert [key for key, _, _ in blobs.list()] == ["work/a"]
    assert list(blobs.unfinished(3600)) == []
    os.utime(half, (0, 0))
    assert list(blobs.unfinished(3600)) == [half]


@pytest.mark.parametrize("url", ["gopher://x/y", "s3://", "/proc/nowhere/blobs"])
def test_storages_that_cannot_be_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(StorageUnavailable, match="give a folder"):
        Blobs(url, tmp_path / "cache")


@pytest.fixture
def own_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Process]:
    with S3Process("films", tmp_path) as server:
        server.set_environment(monkeypatch)
        yield server


def test_a_bucket_that_was_away_is_found_again(own_s3: S3Process, tmp_path: Path) -> None:
    blobs = Blobs("s3://films/x", tmp_path / "cache", tries_s=30)
    blobs.put("work/before", b"1")
    own_s3.kill()
    back = threading.Timer(0.5, own_s3.start)
    back.start()
    blobs.put("work/meanwhile", b"2")  # begun while nobody listens
    back.join()
    assert blobs.get("work/meanwhile") == b"2"


def test_a_bucket_that_hangs_is_read_on_when_it_answers(own_s3: S3Process, tmp_path: Path) -> None:
    blobs = Blobs("s3://films/x", tmp_path / "cache")
    blobs.put("work/a", b"12345")
    own_s3.signal(signal.SIGSTOP)
    back = threading.Timer(0.5, own_s3.signal, [signal.SIGCONT])
    back.start()
    assert blobs.get("work/a") == b"12345"
    back.join()


def test_a_bucket_that_stays_away_is_said_in_time(own_s3: S3Process, tmp_path: Path) -> None:
    blobs = Blobs("s3://films/x", tmp_path / "cache", tries_s=0.5)
    own_s3.kill()
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="does not answer") as said:
        blobs.put("work/a", b"1")
    assert time.monotonic() - began < 15
    assert "Debug" not in str(said.value)


def test_a_bucket_that_is_not_there_is_named(own_s3: S3Process, tmp_path: Path) -> None:
    blobs = Blobs("s3://nowhere/x", tmp_path / "cache", tries_s=0.5)
    with pytest.raises(StorageUnavailable, match="make the bucket"):
        blobs.put("work/a", b"1")


@pytest.mark.parametrize("blobs", ["s3"], indirect=True)
def test_a_list_is_whole_though_the_bucket_fails_in_its_middle(blobs: Blobs) -> None:
    """Its pages come one by one, and each second question fails."""
    wanted = [f"work/{number:04}" for number in range(1100)]
    for key in wanted:
        blobs.put(key, b"")
    real, asked = blobs._store, 0

    class Failing:
        @staticmethod
        def list(*args: Any, **kwargs: Any) -> Iterator[Any]:
            nonlocal asked
            for page in real.list(*args, **kwargs):
                asked += 1
                if asked % 2 == 0:
                    raise OSError("the line is cut")
                yield page

    blobs._store = Failing()
    assert [key for key, _, _ in blobs.list("work")] == wanted
    assert asked > 3


def test_a_list_of_a_bucket_that_is_away_is_not_empty(own_s3: S3Process, tmp_path: Path) -> None:
    blobs = Blobs("s3://films/x", tmp_path / "cache", tries_s=0.3)
    own_s3.kill()
    with pytest.raises(StorageUnavailable, match="does not answer"):
        list(blobs.list())


class Bucket:
    """Stands for what is far away; counts."""

    def __init__(self) -> None:
        self.fetched = 0

    def pieces(self, size: int) -> Iterator[bytes]:
        self.fetched += 1
        time.sleep(0.02)
        yield b"x" * size


def test_the_cache_is_bounded_and_what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    cache, bucket = BlobCache(tmp_path, 25, just_now_s=0), Bucket()
    for key in "abcb":
        path = cache.path(key, lambda: 10, bucket.pieces)
        time.sleep(0.01)
    assert bucket.fetched == 3
    assert path.read_bytes() == b"x" * 10
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) == 20
    cache.path("b", lambda: 10, bucket.pieces)
    assert bucket.fetched == 3, "it is still here"
    cache.path("a", lambda: 10, bucket.pieces)
    assert bucket.fetched == 4, "it was not"


def test_what_is_held_or_just_asked_for_stays(tmp_path: Path) -> None:
    bucket = Bucket()
    cache = BlobCache(tmp_path / "held", 15, just_now_s=0)
    with cache.held("a"):
        path = cache.path("a", lambda: 10, bucket.pieces)
        cache.path("b", lambda: 10, bucket.pieces)
        assert path.is_file()
    cache.path("c", lambda: 10, bucket.pieces)
    assert not path.is_file()
    careful = BlobCache(tmp_path / "careful", 15, just_now_s=60)
    asked = [careful.path(key, lambda: 10, bucket.pieces) for key in "ab"]
    assert all(path.is_file() for path in asked), "nobody has had the time to open them"


def test_what_many_ask_for_at_once_is_fetched_once(tmp_path: Path) -> None:
    cache, bucket = BlobCache(tmp_path, 100), Bucket()
    threads = [threading.Thread(target=cache.path, args=("a", lambda: 10, bucket.pieces)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert bucket.fetched == 1


def test_a_fetch_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken(size: int) -> Iterator[bytes]:
        yield b"half"
        raise StorageUnavailable("gone")

    cache = BlobCache(tmp_path, 100)
    with pytest.raises(StorageUnavailable):
        cache.path("a", lambda: 10, broken)
    assert list(tmp_path.iterdir()) == []
    assert cache.path("a", lambda: 10, Bucket().pieces).read_bytes() == b"x" * 10


def test_keys_that_were_written_into_the_address_are_not_shown() -> None:
    assert shown("s3://key:secret@bucket/prefix") == "s3://***@bucket/prefix"
    assert shown("s3://key:se/cr@et@bucket/prefix") == "s3://***@bucket/prefix"
    assert shown("s3://bucket/a@b") == "s3://bucket/a@b"
    assert shown("/a/folder@home") == "/a/folder@home"

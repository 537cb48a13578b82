"""What goes and what stays; on both databases."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.kept.collector import DAY_S, Collector
from server.kept.errors import NotKept
from server.kept.kept import Kept
from server.kept.keys import job_key, video_key, work_blob
from server.kept.models import JobRow, SessionRow, VideoRow
from server.kept.session_log import SessionLog
from tests.server.kept.rows import FAR, ready_video, running_job

KEEP_DAYS = 30.0


def collector(kept: Kept) -> Collector:
    return Collector(kept.database, kept.blobs, kept.uploads_dir, KEEP_DAYS)


def put(kept: Kept, key: str, age_s: float = 2 * DAY_S) -> str:
    """A blob of 10 bytes that was put so long ago."""
    kept.blobs.put(key, b"0123456789")
    then = time.time() - age_s
    os.utime(kept.blobs.open_local(key), (then, then))
    return key


def age(kept: Kept, column: sa.orm.InstrumentedAttribute[float], days: float) -> None:
    """As if all of them had been so long ago."""
    change = sa.update(column.class_).values({column: time.time() - days * DAY_S})
    kept.database.write(lambda connection: connection.execute(change))


def keys(kept: Kept) -> set[str]:
    return {key for key, _, _ in kept.blobs.list()}


def test_what_nobody_names_goes(kept: Kept) -> None:
    job = running_job(kept.database, segments=1)
    named = {
        put(kept, video_key(job.video_id, "source")),
        put(kept, video_key(job.video_id, "thumbnails.jpg")),
        put(kept, job_key(job.id, "init.mp4")),
        put(kept, work_blob(f"{job.id}-0")),
    }
    fresh = put(kept, work_blob("just-written"), age_s=60)
    foreign = put(kept, "backup/of-somebody")
    put(kept, work_blob("orphan"))
    put(kept, video_key("gone", "source"))
    put(kept, job_key("gone", "result.mp4"))
    said = collector(kept).collect(dry_run=True)
    assert (said.blobs, said.bytes) == (3, 30)
    assert len(keys(kept)) == 9
    made = collector(kept).collect()
    assert (made.blobs, made.bytes, made.lines) == (3, 30, said.lines)
    assert keys(kept) == named | {fresh, foreign}
    assert collector(kept).collect().lines == []


def test_old_films_go_with_all_that_is_theirs(kept: Kept) -> None:
    job = running_job(kept.database, segments=1)
    taken = kept.segments.claim("w", 60)
    assert taken is not None
    kept.segments.finish(taken, taken.work_key or "", 10)
    kept.jobs.finish(job.id, put(kept, job_key(job.id, "result.mp4")), 10)
    put(kept, video_key(job.video_id, "source"))
    put(kept, work_blob(taken.work_key or ""))
    assert collector(kept).collect().lines == []
    age(kept, VideoRow.used_at, KEEP_DAYS + 1)
    said = collector(kept).collect(dry_run=True)
    assert (said.videos, said.blobs, said.bytes) == (1, 3, 30)
    assert kept.jobs.get(job.id).state == "DONE"
    made = collector(kept).collect()
    assert (made.videos, made.blobs, made.bytes) == (1, 3, 30)
    assert keys(kept) == set()
    with pytest.raises(NotKept):
        kept.videos.get(job.video_id)


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING"])
def test_what_a_job_uses_stays_however_old(kept: Kept, state: str) -> None:
    job = running_job(kept.database, segments=1)
    if state == "QUEUED":
        kept.jobs.cancel(job.id)
        kept.jobs.retry(job.id)
    age(kept, VideoRow.used_at, 1000)
    used = {put(kept, video_key(job.video_id, "source")), put(kept, work_blob(f"{job.id}-0"))}
    assert collector(kept).collect().lines == []
    assert keys(kept) == used


def test_the_work_of_cancelled_jobs_goes_after_a_day_and_can_be_done_again(kept: Kept) -> None:
    job = running_job(kept.database, segments=2)
    other = running_job(kept.database, segments=1, video=kept.videos.get(job.video_id))
    for _ in range(3):
        taken = kept.segments.claim("w", 60)
        assert taken is not None
        kept.segments.finish(taken, "shared" if taken.index == 0 else f"{job.id}-1", 10)
    shared, own = put(kept, work_blob("shared")), put(kept, work_blob(f"{job.id}-1"))
    kept.jobs.cancel(job.id)
    assert collector(kept).collect().lines == []
    age(kept, JobRow.finished_at, 2)
    made = collector(kept).collect()
    assert made.lines == [f"blob {own}: nobody names it, 10 bytes"]
    assert keys(kept) == {shared}, f"{other.id} names it too"
    assert [segment.state for segment in kept.segments.list(job.id)] == ["PENDING", "PENDING"]
    assert kept.jobs.get(job.id).frames_done == 0
    assert kept.jobs.get(other.id).frames_done == 10
    assert kept.jobs.retry(job.id).state == "QUEUED"


def test_expired_uploads_go_with_their_bytes(kept: Kept) -> None:
    old, new = kept.uploads.create("old", 5, 10.0), kept.uploads.create("new", 5, FAR)
    for upload in (old, new):
        (kept.uploads_dir / upload.id).write_bytes(b"12345")
    stray = kept.uploads_dir / "stray"
    stray.write_bytes(b"123")
    os.utime(stray, (0, 0))
    said = collector(kept).collect(dry_run=True)
    assert (said.uploads, said.bytes) == (2, 8)
    assert len(list(kept.uploads_dir.iterdir())) == 3
    collector(kept).collect()
    assert [path.name for path in kept.uploads_dir.iterdir()] == [new.id]
    with pytest.raises(NotKept):
        kept.videos.get(old.video_id)


def test_sessions_go_when_they_are_old(kept: Kept) -> None:
    kept.sessions.begin("s", "nano", time.time())
    assert collector(kept).collect().sessions == 0
    kept.sessions.end("s", "peer-closed", time.time())
    age(kept, SessionRow.started_at, KEEP_DAYS + 1)
    assert collector(kept).collect().sessions == 0, "it ended today"
    age(kept, SessionRow.ended_at, KEEP_DAYS + 1)
    assert collector(kept).collect(dry_run=True).sessions == 1
    assert collector(kept).collect().sessions == 1
    assert kept.sessions.list() == ()


def test_a_session_that_goes_on_stays_however_long_it_lives(kept: Kept) -> None:
    for name in ("goes-on", "lost"):
        kept.sessions.begin(name, "nano", time.time())
    age(kept, SessionRow.started_at, 10 * KEEP_DAYS)
    kept.sessions.seen(["goes-on"], time.time())
    assert collector(kept).collect().sessions == 1
    assert [session.id for session in kept.sessions.list()] == ["goes-on"]
    age(kept, SessionRow.seen_at, 0.5)
    short = Collector(kept.database, kept.blobs, kept.uploads_dir, keep_days=0.01)
    assert short.collect().sessions == 0, "its server says it every hour only"
    age(kept, SessionRow.seen_at, 1.1)
    assert short.collect().sessions == 1


async def test_the_log_says_which_sessions_go_on(kept: Kept) -> None:
    log = SessionLog(kept, seen_s=0.2)
    for name in ("goes-on", "ends"):
        log.begin(name, "nano")
    log.end("ends", "peer-closed")

    async def seen() -> dict[str, float | None]:
        return {session.id: session.seen_at for session in await kept.run(kept.sessions.list)}

    async with asyncio.timeout(30):
        while (first := (await seen()).get("goes-on")) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while (await seen())["goes-on"] == first:  # noqa: ASYNC110  # again, also where nothing else is said
            await asyncio.sleep(0.05)
    assert (await seen())["ends"] is None
    await log.close()


def test_keep_days_of_nothing_keeps_for_ever(kept: Kept) -> None:
    video = ready_video(kept.database)
    age(kept, VideoRow.used_at, 10_000)
    put(kept, video_key(video.id, "source"))
    assert Collector(kept.database, kept.blobs, kept.uploads_dir, 0).collect().lines == []


def test_it_stops_when_it_is_told(kept: Kept) -> None:
    for number in range(5):
        put(kept, work_blob(str(number)))
    asked = iter([False] * 6)
    made = collector(kept).collect(stop=lambda: next(asked, True))
    assert 0 < made.blobs < 5
    assert len(keys(kept)) == 5 - made.blobs


def test_half_written_files_go(kept: Kept, tmp_path: Path) -> None:
    half = tmp_path / "data" / "blobs" / "work" / "a#1"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"123")
    os.utime(half, (0, 0))
    assert collector(kept).collect(dry_run=True).bytes == 3
    assert half.exists()
    collector(kept).collect()
    assert not half.exists()

"""Videos and uploads, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.kept import uploads as module
from server.kept.database import Database
from server.kept.errors import Full, NotKept, Refused, Unavailable
from server.kept.jobs import Jobs
from server.kept.segments import Segments
from server.kept.uploads import Uploads
from server.kept.videos import Videos
from tests.server.kept.rows import FAR, TIMELINE, ready_video, running_job, spans


def test_a_video_goes_its_way(database: Database) -> None:
    videos = Videos(database)
    made = videos.create("holiday.mp4", 1 << 40)
    assert (made.state, made.bytes, made.info) == ("uploading", 1 << 40, None)
    checking = videos.uploaded(made.id, digest="ab" * 32, size=7, blob_key="videos/x/source")
    assert (checking.state, checking.bytes, checking.blob_key) == ("checking", 7, "videos/x/source")
    assert videos.of_digest("ab" * 32) is None
    ready = videos.ready(made.id, {"video": {"width": 64}, "audio": None})
    assert (ready.state, ready.info) == ("ready", {"video": {"width": 64}, "audio": None})
    assert videos.ready(made.id, {}).info == ready.info, "said twice: the first counts"
    assert videos.of_digest("ab" * 32) == videos.get(made.id) == ready


def test_a_refused_one_says_why_and_lets_its_bytes_go(database: Database) -> None:
    videos = Videos(database)
    made = videos.create("x.txt", 3)
    videos.uploaded(made.id, digest="0" * 64, size=3, blob_key="videos/x/source")
    refused = videos.refuse(made.id, "this is no film")
    assert (refused.state, refused.problem, refused.blob_key) == ("refused", "this is no film", None)
    with pytest.raises(Refused, match="refused"):
        videos.ready(made.id, {})
    assert videos.bytes_kept() == 0


def test_states_do_not_go_back(database: Database) -> None:
    video = ready_video(database)
    with pytest.raises(Refused, match="ready"):
        Videos(database).uploaded(video.id, digest="1" * 64, size=1, blob_key="videos/x/other")
    assert Videos(database).get(video.id).digest == "0" * 64


def test_videos_are_listed_newest_first_in_pages(database: Database) -> None:
    made = []
    for number in range(5):
        made.append(ready_video(database, f"{number}.mp4"))
        time.sleep(0.002)
    videos = Videos(database)
    first = videos.list(limit=2)
    assert [video.name for video in first] == ["4.mp4", "3.mp4"]
    assert [video.name for video in videos.list(before=first[-1].created_at)] == ["2.mp4", "1.mp4", "0.mp4"]
    assert videos.list(states=("checking",)) == ()


def test_unknown_videos_are_named(database: Database) -> None:
    videos = Videos(database)
    videos.touch("nowhere")  # nothing to say of: it may have been deleted meanwhile
    for call in (videos.get, videos.delete, lambda video_id: videos.ready(video_id, {})):
        with pytest.raises(NotKept, match="nowhere"):
            call("nowhere")


def test_a_video_goes_with_its_jobs_but_not_under_one(database: Database) -> None:
    job = running_job(database)
    videos, jobs = Videos(database), Jobs(database)
    with pytest.raises(Refused, match=f"job {job.id}"):
        videos.delete(job.video_id)
    jobs.cancel(job.id)
    assert videos.delete(job.video_id) == (f"videos/{job.video_id}/source",)
    for gone in (
        lambda: videos.get(job.video_id),
        lambda: jobs.get(job.id),
        lambda: Segments(database).list(job.id),
    ):
        with pytest.raises(NotKept):
            gone()


def test_an_upload_goes_on_where_it_was(database: Database) -> None:
    uploads, videos = Uploads(database), Videos(database)
    made = uploads.create("a.mp4", 100, FAR, {"filename": "a.mp4"}, quota_bytes=1000)
    assert (made.offset, made.metadata) == (0, {"filename": "a.mp4"})
    assert uploads.advance(made.id, 0, 60, FAR + 1).offset == 60
    with pytest.raises(Refused, match="at 60, not 0"):
        uploads.advance(made.id, 0, 50, FAR)
    with pytest.raises(Refused, match="100 bytes, not 101"):
        uploads.advance(made.id, 60, 101, FAR)
    assert uploads.advance(made.id, 0, 60, FAR).offset == 60, "said twice: the answer was lost"
    videos.uploaded(made.video_id, digest="0" * 64, size=100, blob_key="videos/x/source")
    with pytest.raises(NotKept, match="whole"):
        uploads.get(made.id)


def test_what_is_announced_counts_against_the_quota(database: Database) -> None:
    uploads = Uploads(database)
    uploads.create("a", 600, FAR, quota_bytes=1000)
    with pytest.raises(Full, match="600 of 1000 are used"):
        uploads.create("b", 500, FAR, quota_bytes=1000)
    later = uploads.create("c", None, FAR, quota_bytes=1000)
    with pytest.raises(Full):
        uploads.set_length(later.id, 401, quota_bytes=1000)
    assert uploads.set_length(later.id, 400, quota_bytes=1000).length == 400
    with pytest.raises(Refused, match="400 bytes, now 300"):
        uploads.set_length(later.id, 300)
    assert Videos(database).bytes_kept() == 1000


def test_rendered_spans_and_results_count_once(database: Database) -> None:
    video = ready_video(database, size=1000)
    segments, jobs = Segments(database), Jobs(database)
    for _ in range(2):  # two jobs share their work
        job, _ = jobs.create(video.id, "nano", TIMELINE)
        jobs.start(job.id)
        segments.lay(job.id, spans(1), ["shared"])
        taken = segments.claim("w", 10, job.id)
        assert taken is not None
        segments.finish(taken, "shared", 200)
    jobs.finish(job.id, f"jobs/{job.id}/result.mp4", 30)
    assert Videos(database).bytes_kept() == 1000 + 200 + 30


def test_expired_uploads_are_found_and_go_with_their_video(database: Database) -> None:
    uploads = Uploads(database)
    old, new = uploads.create("old", 5, 10.0), uploads.create("new", 5, FAR)
    assert [upload.id for upload in uploads.expired(time.time())] == [old.id]
    uploads.delete(old.id)
    assert uploads.get(new.id) == new
    with pytest.raises(NotKept):
        Videos(database).get(old.video_id)


def test_uploads_that_are_begun_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    uploads, videos = Uploads(database), Videos(database)
    long = uploads.create("long.mp4", None, FAR)
    uploads.advance(long.id, 0, 1000, FAR)
    short = uploads.create("short.mp4", None, FAR)
    uploads.advance(short.id, 0, 10, FAR)
    other = uploads.create("other.mp4", None, FAR + 10)
    with pytest.raises(Unavailable, match="3 uploads are begun just now: try again in a minute"):
        uploads.create("at-once.mp4", None, FAR + 20)
    assert len(videos.list()) == 3
    later = FAR + module.RESTING_S + 5
    late = uploads.create("later.mp4", None, later)  # of those that rest, the one with the fewest bytes goes
    with pytest.raises(NotKept):
        uploads.get(short.id)
    with pytest.raises(NotKept):
        videos.get(short.video_id)
    assert [uploads.get(each.id).id for each in (long, other, late)] == [long.id, other.id, late.id]


def test_many_that_make_room_at_once_give_up_one_each(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 6)
    uploads = Uploads(database)
    for number in range(6):
        uploads.create(f"resting-{number}.mp4", None, FAR)
    later = FAR + module.RESTING_S + 5
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda number: uploads.create(f"{number}.mp4", None, later), range(6)))
    assert [uploads.get(each.id) for each in made] == made


def test_room_is_not_made_of_what_is_whole_and_waits_for_its_storage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    uploads = Uploads(database)
    whole, half = uploads.create("whole.mp4", 10, FAR), uploads.create("half.mp4", 100, FAR)
    uploads.advance(whole.id, 0, 10, FAR)
    uploads.advance(half.id, 0, 50, FAR)
    uploads.create("later.mp4", None, FAR + module.RESTING_S + 5)
    assert uploads.get(whole.id).offset == 10
    with pytest.raises(NotKept):
        uploads.get(half.id)

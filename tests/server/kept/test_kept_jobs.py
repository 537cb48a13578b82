"""Jobs: their states, and requests that are sent twice; on both databases."""

from __future__ import annotations

import threading

import pytest

from server.kept.database import Database
from server.kept.errors import NotKept, Refused
from server.kept.jobs import Jobs
from server.kept.segments import Segments
from server.kept.types import OVER, Segment
from server.kept.videos import Videos
from tests.server.kept.rows import TIMELINE, ready_video, running_job, spans


def finish_all(database: Database, job_id: str) -> None:
    segments = Segments(database)
    while (taken := segments.claim("w", 100, job_id)) is not None:
        segments.finish(taken, taken.work_key or "none", 10)


def test_the_same_request_under_one_key_makes_one_job(database: Database) -> None:
    jobs, video = Jobs(database), ready_video(database)
    first, made = jobs.create(video.id, "nano", TIMELINE, "key")
    again, made_again = jobs.create(video.id, "nano", TIMELINE, "key")
    assert (made, made_again, again) == (True, False, first)
    with pytest.raises(Refused, match="another request"):
        jobs.create(video.id, "nano-plus", TIMELINE, "key")
    assert jobs.create(video.id, "nano", TIMELINE)[0].id != first.id
    assert len(jobs.list()) == 2


def test_requests_of_one_key_at_once_make_one_job(database: Database) -> None:
    jobs, video = Jobs(database), ready_video(database)
    made: list[tuple[str, bool]] = []
    start = threading.Barrier(6)

    def send() -> None:
        start.wait(10)
        job, new = jobs.create(video.id, "nano", TIMELINE, "key")
        made.append((job.id, new))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 6
    assert len({job_id for job_id, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1


def test_only_ready_videos_are_edited(database: Database) -> None:
    video = Videos(database).create("a")
    with pytest.raises(Refused, match="uploading"):
        Jobs(database).create(video.id, "nano", TIMELINE)
    with pytest.raises(NotKept):
        Jobs(database).create("nowhere", "nano", TIMELINE)


def test_a_job_goes_its_way(database: Database) -> None:
    job = running_job(database, segments=3)
    jobs = Jobs(database)
    assert (job.state, job.frames, job.frames_done, job.attempt) == ("RUNNING", 30, 0, 1)
    with pytest.raises(Refused, match="3 segments"):
        jobs.finish(job.id, "jobs/x/result.mp4", 5)
    finish_all(database, job.id)
    done = jobs.finish(job.id, "jobs/x/result.mp4", 5)
    assert (done.state, done.frames_done, done.result_key, done.result_bytes) == (
        "DONE",
        30,
        "jobs/x/result.mp4",
        5,
    )
    assert jobs.finish(job.id, "jobs/x/result.mp4", 5) == done


def test_what_is_done_stays_done(database: Database) -> None:
    job = running_job(database, segments=1)
    jobs = Jobs(database)
    finish_all(database, job.id)
    jobs.finish(job.id, "jobs/x/result.mp4")
    for change in (jobs.start, jobs.cancel, jobs.retry, lambda job_id: jobs.fail(job_id, "no")):
        with pytest.raises(Refused, match="DONE"):
            change(job.id)
    assert jobs.get(job.id).state == "DONE"
    assert jobs.delete(job.id) == "jobs/x/result.mp4"


@pytest.mark.parametrize("end", ["cancel", "fail"])
def test_a_stopped_job_takes_its_segments_back_and_can_be_tried_again(database: Database, end: str) -> None:
    job = running_job(database, segments=3)
    jobs, segments = Jobs(database), Segments(database)
    done, held = segments.claim("w", 100), segments.claim("w", 100)
    assert done is not None
    assert held is not None
    segments.finish(done, "key", 10)
    stopped = jobs.cancel(job.id, "not needed") if end == "cancel" else jobs.fail(job.id, "not needed")
    assert (stopped.reason, stopped.state in OVER) == ("not needed", True)
    assert segments.heartbeat(held) is False
    assert segments.claim("w", 100) is None
    again = jobs.retry(job.id)
    assert (again.state, again.attempt, again.reason, again.frames_done) == ("QUEUED", 2, None, 10)
    assert jobs.start_next() == jobs.get(job.id)
    assert [segment.state for segment in segments.list(job.id)] == ["DONE", "PENDING", "PENDING"]


def test_a_running_job_is_not_deleted(database: Database) -> None:
    job = running_job(database)
    with pytest.raises(Refused, match="cancel it first"):
        Jobs(database).delete(job.id)


def test_each_queued_job_is_started_once_the_oldest_first(database: Database) -> None:
    jobs, video = Jobs(database), ready_video(database)
    made = [jobs.create(video.id, "nano", TIMELINE)[0].id for _ in range(8)]
    assert jobs.start_next() is not None
    started: list[str] = []
    start = threading.Barrier(4)

    def take() -> None:
        start.wait(10)
        while (job := jobs.start_next()) is not None:
            started.append(job.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    while (late := jobs.start_next()) is not None:  # one that was locked when others looked
        started.append(late.id)
    assert sorted(started) == sorted(made[1:])
    assert {job.id for job in jobs.list(states=("RUNNING",))} == set(made)


def test_a_job_is_cut_once(database: Database) -> None:
    job = running_job(database, segments=2)
    segments = Segments(database)
    assert segments.lay(job.id, spans(2)) == segments.list(job.id), "laid again: the first counts"
    with pytest.raises(Refused, match="cut otherwise"):
        segments.lay(job.id, spans(2, frames=11))
    assert len(segments.list(job.id)) == 2
    taken = segments.claim("w", 60)
    assert [segment.index for segment in segments.lay(job.id, spans(4))] == [0, 1, 2, 3], "more of it is cut"
    assert segments.get(job.id, 0) == taken, "what is laid stays as it is"
    assert Jobs(database).get(job.id).frames == 40
    assert isinstance(segments.get(job.id, 1), Segment)
    with pytest.raises(NotKept):
        segments.get(job.id, 4)

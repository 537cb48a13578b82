"""Segments: who gets which, leases, and that none is given twice; on both databases."""

from __future__ import annotations

import threading
import time

import sqlalchemy as sa

from server.kept.database import Database
from server.kept.jobs import Jobs
from server.kept.models import SegmentRow
from server.kept.segments import Segments
from tests.server.kept.rows import running_job

LEASE_S = 60.0


def silence(database: Database, seconds: float) -> None:
    """As if every worker had been silent for so long."""
    change = sa.update(SegmentRow).values(heartbeat_at=SegmentRow.heartbeat_at - seconds)
    database.write(lambda connection: connection.execute(change))


def test_in_order_but_what_is_watched_comes_first(database: Database) -> None:
    job = running_job(database, segments=6)
    segments = Segments(database)
    segments.want(job.id, 2)
    time.sleep(0.01)
    segments.want(job.id, 4)
    taken = [segments.claim("w", LEASE_S) for _ in range(7)]
    assert [each.index if each else None for each in taken] == [4, 2, 0, 1, 3, 5, None]


def test_older_jobs_come_first(database: Database) -> None:
    first = running_job(database, segments=1)
    time.sleep(0.01)
    second = running_job(database, segments=1)
    taken = [Segments(database).claim("w", LEASE_S) for _ in range(2)]
    assert [each.job_id for each in taken if each] == [first.id, second.id]
    assert Segments(database).claim("w", LEASE_S, job_id=second.id) is None


def test_a_silent_worker_loses_its_segment_and_hears_of_it(database: Database) -> None:
    running_job(database, segments=1)
    segments = Segments(database)
    mine = segments.claim("slow", LEASE_S)
    assert mine is not None
    silence(database, LEASE_S - 10)
    assert segments.claim("other", LEASE_S) is None
    assert segments.heartbeat(mine)
    silence(database, LEASE_S - 10)
    assert segments.claim("other", LEASE_S) is None, "the heartbeat counts"
    silence(database, 20)
    theirs = segments.claim("other", LEASE_S)
    assert theirs is not None
    assert theirs.worker == "other"
    assert not segments.heartbeat(mine)
    assert not segments.release(mine)
    assert segments.heartbeat(theirs)


def test_the_first_to_finish_has_finished_it(database: Database) -> None:
    job = running_job(database, segments=1)
    segments = Segments(database)
    slow = segments.claim("slow", LEASE_S)
    silence(database, 2 * LEASE_S)
    other = segments.claim("other", LEASE_S)
    assert slow is not None
    assert other is not None
    assert segments.finish(slow, "work", 123).state == "DONE"
    assert not segments.heartbeat(other)
    assert segments.finish(other, "work", 123) == segments.get(job.id, 0)
    assert Jobs(database).get(job.id).frames_done == 10, "counted once"
    assert segments.want(job.id, 0).wanted_at is None


def test_what_is_given_back_is_taken_again(database: Database) -> None:
    job = running_job(database, segments=3)
    segments = Segments(database)
    first = segments.claim("a", LEASE_S)
    assert first is not None
    assert segments.release(first)
    assert segments.get(job.id, 0).worker is None
    for _ in range(2):
        segments.claim("gone", LEASE_S)
    assert segments.release_worker("gone") == 2
    assert [segment.state for segment in segments.list(job.id)] == ["PENDING"] * 3


def test_a_lost_one_is_rendered_again(database: Database) -> None:
    job = running_job(database, segments=2)
    segments = Segments(database)
    taken = segments.claim("w", LEASE_S)
    assert taken is not None
    segments.finish(taken, "work", 5)
    assert segments.lost(job.id, 0).state == "PENDING"
    assert Jobs(database).get(job.id).frames_done == 0
    again = segments.claim("w", LEASE_S)
    assert again is not None
    assert again.index == 0


def test_no_two_workers_get_the_same(database: Database) -> None:
    job = running_job(database, segments=40)
    segments = Segments(database)
    taken: list[tuple[str, int]] = []
    start = threading.Barrier(8)

    def work(name: str) -> None:
        start.wait(10)
        misses = 0
        while misses < 3:  # another holds the row one wants: look again
            segment = segments.claim(name, LEASE_S)
            if segment is None:
                misses += 1
                continue
            taken.append((segment.job_id, segment.index))
            assert segments.heartbeat(segment)
            segments.finish(segment, f"work-{segment.index}", 1)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == [(job.id, index) for index in range(40)]
    assert Jobs(database).get(job.id).frames_done == 400

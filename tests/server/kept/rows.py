"""What tests of the repositories begin with: a ready video, a running job with segments."""

from __future__ import annotations

from gpu.film.types import Span
from server.kept.database import Database
from server.kept.jobs import Jobs
from server.kept.segments import Segments
from server.kept.types import Job, Video
from server.kept.videos import Videos

TIMELINE = {"version": 1, "model": "", "edits": [{"at": 0.0, "prompt": "make it night"}]}
FAR = 4e9  # seconds since 1970


def spans(count: int, frames: int = 10) -> list[Span]:
    return [
        Span(n, n * frames, frames, n * frames * 3000, (n + 1) * frames * 3000, n % 3 == 0)
        for n in range(count)
    ]


def ready_video(database: Database, name: str = "a.mp4", size: int = 1000) -> Video:
    videos = Videos(database)
    made = videos.create(name, size)
    videos.uploaded(made.id, digest="0" * 64, size=size, blob_key=f"videos/{made.id}/source")
    return videos.ready(made.id, {"frames": 100})


def running_job(database: Database, segments: int = 3, video: Video | None = None) -> Job:
    jobs = Jobs(database)
    video = video or ready_video(database)
    job, _ = jobs.create(video.id, "nano", TIMELINE)
    jobs.start(job.id)
    Segments(database).lay(job.id, spans(segments), [f"{job.id}-{n}" for n in range(segments)])
    return jobs.get(job.id)

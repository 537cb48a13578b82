"""What is kept, as it is handed out: frozen copies of rows. Data only, without the database.

Times ending in `_at` are seconds since 1970 (UTC); `start` and `end` are ticks of 90 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

VideoState = Literal["uploading", "checking", "ready", "refused"]
JobState = Literal["QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"]
SegmentState = Literal["PENDING", "RUNNING", "DONE"]

ACTIVE: tuple[JobState, ...] = ("QUEUED", "RUNNING")
OVER: tuple[JobState, ...] = ("DONE", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Video:
    """A film that was uploaded, or is being so."""

    id: str
    name: str
    digest: str | None  # sha256 of its bytes, hex, once they are all here
    bytes: int  # as announced, then as counted
    blob_key: str | None
    info: Mapping[str, Any] | None  # what probing found, once ready
    state: VideoState
    problem: str | None  # why it was refused, for a person
    created_at: float
    used_at: float


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that is not whole yet; its bytes lie in `Kept.uploads_dir` under its id."""

    id: str
    video_id: str
    length: int | None  # None: not said yet
    offset: int
    expires_at: float
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """The edit of one video by one timeline."""

    id: str
    video_id: str
    model: str
    timeline: Mapping[str, Any]
    state: JobState
    reason: str | None  # why it failed or was cancelled, for a person
    attempt: int  # from 1
    created_at: float
    started_at: float | None
    finished_at: float | None
    idempotency_key: str | None
    result_key: str | None
    result_bytes: int
    frames_done: int
    frames: int  # 0: not known yet


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a job. While RUNNING it belongs to `worker`, for as long as that one says so."""

    job_id: str
    index: int
    first_frame: int
    frames: int
    start: int
    end: int
    scene: bool
    state: SegmentState
    work_key: str | None
    bytes: int
    worker: str | None
    heartbeat_at: float | None
    wanted_at: float | None


@dataclass(frozen=True, slots=True)
class SessionKept:
    """A live session that was, or is while `ended_at` is None; its server says so every hour (`seen_at`)."""

    id: str
    model: str
    started_at: float
    ended_at: float | None
    seen_at: float | None
    reason: str | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SessionEdit:
    """An instruction of a session, with the tick at which it was first seen in the picture."""

    session_id: str
    number: int
    at_ticks: int
    prompt: str
    strength: float
    transition_ms: int
    seed: int

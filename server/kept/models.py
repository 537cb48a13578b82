"""The tables. Migrations make them; a test holds both to each other. Nothing is asked or changed here."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, Double, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID_CHARS = 64  # ours have 22; ids of sessions come from elsewhere


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text, int: BigInteger, float: Double, dict[str, Any]: JSON,
    }  # fmt: skip


class VideoRow(Base):
    __tablename__ = "videos"
    __table_args__ = (
        CheckConstraint("state IN ('uploading', 'checking', 'ready', 'refused')", name="state"),
        Index("ix_videos_used_at", "used_at"),
    )

    id: Mapped[str] = mapped_column(String(ID_CHARS), primary_key=True)
    name: Mapped[str]
    digest: Mapped[str | None] = mapped_column(String(64), index=True)
    bytes: Mapped[int]
    blob_key: Mapped[str | None]
    info: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[str] = mapped_column(String(16))
    problem: Mapped[str | None]
    created_at: Mapped[float]
    used_at: Mapped[float]


class UploadRow(Base):
    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(ID_CHARS), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), index=True)
    length: Mapped[int | None]
    offset: Mapped[int]
    expires_at: Mapped[float] = mapped_column(index=True)
    # `metadata` is taken in a declarative class
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')", name="state"),
        Index("ix_jobs_state", "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(ID_CHARS), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), index=True)
    model: Mapped[str]
    timeline: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    attempt: Mapped[int]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    result_key: Mapped[str | None]
    result_bytes: Mapped[int]
    frames_done: Mapped[int]
    frames: Mapped[int]


class SegmentRow(Base):
    __tablename__ = "segments"
    __table_args__ = (
        CheckConstraint("state IN ('PENDING', 'RUNNING', 'DONE')", name="state"),
        Index("ix_segments_state", "state", "wanted_at"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_frame: Mapped[int]
    frames: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]
    scene: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    work_key: Mapped[str | None] = mapped_column(String(255), index=True)
    bytes: Mapped[int]
    worker: Mapped[str | None]
    heartbeat_at: Mapped[float | None]
    wanted_at: Mapped[float | None]


class SessionRow(Base):
    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(ID_CHARS), primary_key=True)
    model: Mapped[str]
    started_at: Mapped[float] = mapped_column(index=True)
    ended_at: Mapped[float | None]
    seen_at: Mapped[float | None]
    reason: Mapped[str | None]
    width: Mapped[int]
    height: Mapped[int]


class StreamRow(Base):
    __tablename__ = "streams"

    name: Mapped[str] = mapped_column(String(ID_CHARS), primary_key=True)
    settings: Mapped[dict[str, Any]]
    edit: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    changed_at: Mapped[float]


class SessionEditRow(Base):
    __tablename__ = "session_edits"

    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at_ticks: Mapped[int]
    prompt: Mapped[str]
    strength: Mapped[float]
    transition_ms: Mapped[int]
    seed: Mapped[int]

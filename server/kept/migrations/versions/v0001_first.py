"""Videos, uploads, jobs, segments, sessions and their edits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

ID = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "videos",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("blob_key", sa.Text()),
        sa.Column("info", sa.JSON()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("problem", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_videos"),
        sa.CheckConstraint(
            "state IN ('uploading', 'checking', 'ready', 'refused')", name=op.f("ck_videos_state")
        ),
    )
    op.create_index("ix_videos_digest", "videos", ["digest"])
    op.create_index("ix_videos_used_at", "videos", ["used_at"])
    op.create_table(
        "uploads",
        sa.Column("id", ID, nullable=False),
        sa.Column("video_id", ID, nullable=False),
        sa.Column("length", sa.BigInteger()),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name="fk_uploads_video_id", ondelete="CASCADE"),
    )
    op.create_index("ix_uploads_video_id", "uploads", ["video_id"])
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("video_id", ID, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("timeline", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("result_key", sa.Text()),
        sa.Column("result_bytes", sa.BigInteger(), nullable=False),
        sa.Column("frames_done", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name="fk_jobs_video_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')", name=op.f("ck_jobs_state")
        ),
    )
    op.create_index("ix_jobs_video_id", "jobs", ["video_id"])
    op.create_index("ix_jobs_state", "jobs", ["state", "created_at"])
    op.create_table(
        "segments",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("first_frame", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("scene", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("work_key", sa.String(255)),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text()),
        sa.Column("heartbeat_at", sa.Double()),
        sa.Column("wanted_at", sa.Double()),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_segments"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_segments_job_id", ondelete="CASCADE"),
        sa.CheckConstraint("state IN ('PENDING', 'RUNNING', 'DONE')", name=op.f("ck_segments_state")),
    )
    op.create_index("ix_segments_work_key", "segments", ["work_key"])
    op.create_index("ix_segments_state", "segments", ["state", "wanted_at"])
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("reason", sa.Text()),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_started_at", "sessions", ["started_at"])
    op.create_table(
        "session_edits",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at_ticks", sa.BigInteger(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("strength", sa.Double(), nullable=False),
        sa.Column("transition_ms", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_session_edits"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_session_edits_session_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    for table in ("session_edits", "sessions", "segments", "jobs", "uploads", "videos"):
        op.drop_table(table)

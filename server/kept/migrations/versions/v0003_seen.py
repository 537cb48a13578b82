"""Sessions: when their server last said that they go on, so that none is taken away while it lives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("seen_at", sa.Double()))


def downgrade() -> None:
    op.drop_column("sessions", "seen_at")

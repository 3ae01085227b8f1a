"""How each call sounded: the verdicts on its voice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("verdicts", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("calls", "verdicts")

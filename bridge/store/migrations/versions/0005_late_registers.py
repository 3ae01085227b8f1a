"""A register that is still under way at the portal must find its call unfinished: no finish before `settles`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("settles", sa.Double))


def downgrade() -> None:
    op.drop_column("calls", "settles")

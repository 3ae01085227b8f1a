"""Calls are found by the CALL_ID that a portal gave them."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("calls_card", "calls", ["portal", "card"])


def downgrade() -> None:
    op.drop_index("calls_card", "calls")

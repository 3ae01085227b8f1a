"""A call may promise several recordings and transcripts; promises are found by their call."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox") as table:
        table.drop_constraint("outbox_once", type_="unique")
    op.create_index("outbox_call", "outbox", ["call"])


def downgrade() -> None:
    op.drop_index("outbox_call", "outbox")
    with op.batch_alter_table("outbox") as table:
        table.create_unique_constraint("outbox_once", ["call", "kind"])

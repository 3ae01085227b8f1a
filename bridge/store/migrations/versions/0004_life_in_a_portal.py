"""What stands against using a portal, its line, other administrators' tokens, and what became of its worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ADDED = ("trouble", "line", "line_name", "region", "lines")


def upgrade() -> None:
    for name in ADDED:
        op.add_column("portals", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.create_table(
        "spares",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("user", sa.BigInteger, primary_key=True),
        sa.Column("access_sealed", sa.Text, nullable=False),
        sa.Column("refresh_sealed", sa.Text, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("dead", sa.Boolean, nullable=False),
    )
    op.create_table(
        "worker_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("user", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("worker_history_at", "worker_history", ["portal", "at"])


def downgrade() -> None:
    op.drop_table("worker_history")
    op.drop_table("spares")
    for name in ADDED:
        op.drop_column("portals", name)

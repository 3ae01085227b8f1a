"""The first tables: portals, calls, outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "portals",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("member_id", sa.Text, nullable=False, unique=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("client_endpoint", sa.Text, nullable=False),
        sa.Column("server_endpoint", sa.Text, nullable=False),
        sa.Column("access_sealed", sa.Text, nullable=False),
        sa.Column("refresh_sealed", sa.Text, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("admin_user", sa.BigInteger, nullable=False),
        sa.Column("application_token_sealed", sa.Text, nullable=False),
        sa.Column("installed", sa.Boolean, nullable=False),
        sa.Column("needs_login", sa.Boolean, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("user", sa.BigInteger, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("answered", sa.Double),
        sa.Column("answered_by", sa.BigInteger),
        sa.Column("seen", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
    )
    op.create_index("calls_ended", "calls", ["ended"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("call", sa.Text, sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("first_sent", sa.Double),
        sa.UniqueConstraint("call", "kind", name="outbox_once"),
    )
    op.create_index("outbox_due", "outbox", ["portal", "state", "next_at"])


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_table("calls")
    op.drop_table("portals")

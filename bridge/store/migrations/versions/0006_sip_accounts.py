"""SIP accounts of operators, beside those of the configuration file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sip_accounts",
        sa.Column("trunk", sa.Text, primary_key=True),
        sa.Column("sip_user", sa.Text, primary_key=True),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("user", sa.BigInteger),
        sa.Column("named", sa.Boolean, nullable=False),
        sa.Column("password_sealed", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("sip_accounts")

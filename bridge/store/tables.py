"""The tables as the code sees them; `migrations/` holds the way there.

All times are Unix seconds. Columns that end in `_sealed` hold Fernet tokens, never plain secrets.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text

metadata = MetaData()

portals = Table(
    "portals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, nullable=False, unique=True),
    Column("domain", Text, nullable=False),
    Column("client_endpoint", Text, nullable=False),
    Column("server_endpoint", Text, nullable=False),
    Column("access_sealed", Text, nullable=False),
    Column("refresh_sealed", Text, nullable=False),
    Column("expires", Double, nullable=False),
    Column("admin_user", BigInteger, nullable=False),
    Column("application_token_sealed", Text, nullable=False),
    Column("installed", Boolean, nullable=False),
    Column("needs_login", Boolean, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("line_name", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("lines", Text, nullable=False),
)

spares = Table(
    "spares",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("user", BigInteger, primary_key=True),
    Column("access_sealed", Text, nullable=False),
    Column("refresh_sealed", Text, nullable=False),
    Column("expires", Double, nullable=False),
    Column("dead", Boolean, nullable=False),
)

worker_history = Table(
    "worker_history",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("portal", Text, nullable=False),
    Column("user", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("what", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("worker_history_at", "portal", "at"),
)

sip_accounts = Table(
    "sip_accounts",
    metadata,
    Column("trunk", Text, primary_key=True),
    Column("sip_user", Text, primary_key=True),
    Column("portal", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("user", BigInteger),
    Column("named", Boolean, nullable=False),
    Column("password_sealed", Text, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("portal", Text, nullable=False),
    Column("user", BigInteger, nullable=False),
    Column("direction", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("answered", Double),
    Column("answered_by", BigInteger),
    Column("seen", Double, nullable=False),
    Column("ended", Double),
    Column("status", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("settles", Double),
    Column("verdicts", Text, nullable=False, server_default=""),
    Index("calls_ended", "ended"),
    Index("calls_card", "portal", "card"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("call", Text, ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    Column("portal", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_sent", Double),
    Index("outbox_call", "call"),
    Index("outbox_due", "portal", "state", "next_at"),
)

"""Run by Alembic inside the transaction that `database.py` opened; there is no other way to migrate."""

from __future__ import annotations

from alembic import context

from bridge.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

"""Run by Alembic. The caller hands over an open connection with a transaction; there is no alembic.ini."""

from __future__ import annotations

from alembic import context

from exporter.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()

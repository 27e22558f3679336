"""Alembic's entry: it runs the steps on the connection that ``upgrade`` hands over."""

from alembic import context

from storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
    transactional_ddl=False,  # the caller's transaction is the one that counts
)
context.run_migrations()

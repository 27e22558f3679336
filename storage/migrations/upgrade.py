"""Run the migrations on a connection; alembic is configured here, without an ini file."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from storage.error import StorageError

_FOLDER = Path(__file__).parent


def configuration() -> Config:
    """Alembic's settings: where the steps are."""
    config = Config()
    config.set_main_option("script_location", _FOLDER.as_posix().replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database: Engine, revision: str | None = None, to: str = "head") -> None:
    """Migrate ``database``, now at ``revision``, in one transaction. Raises :class:`StorageError` for a newer one."""
    config = configuration()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StorageError(
            f"the database {database.url.database} was written by a newer Wakeless (schema {revision})", permanent=True
        )
    with database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)

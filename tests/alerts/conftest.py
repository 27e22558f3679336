"""A database on disk, and a server's alerting over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from storage.engine import open_database
from tests.alerts.world import World


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = open_database(tmp_path / "wakeless.db")
    yield engine
    engine.dispose()


@pytest.fixture
def make_world(database: Database) -> Callable[..., World]:
    return lambda text, **options: World(database, text, **options)

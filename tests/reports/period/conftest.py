"""A database on disk, and a month in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine as Database

from promql import Engine
from storage.engine import open_database
from storage.series import SeriesStore
from tests.reports.period.month import DAY_MS, END_MS, START_MS, write_events, write_requests, write_series


class Place(NamedTuple):
    """Where a report takes its numbers from."""

    database: Database
    store: SeriesStore
    query: Engine


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = open_database(tmp_path / "wakeless.db")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def october(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A month, made once; nobody may write in it."""
    engine = open_database(tmp_path_factory.mktemp("october") / "wakeless.db")
    store = SeriesStore(engine)
    store.load()
    write_series(store, START_MS, END_MS + 3_600_000)
    write_requests(engine, START_MS, END_MS, 8000)
    write_requests(engine, START_MS - 30 * DAY_MS, START_MS, 2000, seed=4)
    write_events(engine)
    yield Place(engine, store, Engine(store))
    store.close()
    engine.dispose()

"""A real database in a temporary folder for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage.engine import open_database
from storage.series import SeriesStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "wakeless.db"


@pytest.fixture
def engine(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A new database. It is not synced to the disk: no test pulls the plug, and the disk is slower than all else."""
    monkeypatch.setattr("storage.engine.SYNCHRONOUS", "OFF")
    database = open_database(path)
    yield database
    database.dispose()


@pytest.fixture
def store(engine: Engine) -> SeriesStore:
    made = SeriesStore(engine, head_minutes=2)
    made.load()
    return made

"""A database for ladders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage.engine import open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    found = open_database(tmp_path / "wakeless.db")
    yield found
    found.dispose()

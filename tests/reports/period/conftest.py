"""A database on disk, and a month in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from storage.engine import open_database
from storage.series import SeriesStore
from tests.dashboard.house import House, open_house
from tests.reports.period.month import DAY_MS, END_MS, START_MS, write_events, write_requests, write_series


class Place:
    """A server's app over a month: where a report takes its numbers from, and the files that it gives."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.database = house.services.database
        self.query = house.services.query

    def file(self, path: str, start_ms: int, end_ms: int, match: Sequence[str] = ()) -> bytes:
        """What the server gives of a window."""
        asked = {"start": start_ms, "end": end_ms, "match[]": match}
        answer = self._house.visitor().get(path, query_string=asked, headers=self._house.token("viewer"))
        assert answer.status_code == 200, answer.text
        found: bytes = answer.data
        return found


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = open_database(tmp_path / "wakeless.db")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def october(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A month, made once; nobody may write in it."""
    folder = tmp_path_factory.mktemp("october")
    engine = open_database(folder / "wakeless.db")
    store = SeriesStore(engine)
    store.load()
    write_series(store, START_MS, END_MS + 3_600_000)
    write_requests(engine, START_MS, END_MS, 8000)
    write_requests(engine, START_MS - 30 * DAY_MS, START_MS, 2000, seed=4)
    write_events(engine)
    store.close()
    engine.dispose()
    with open_house(folder) as house:
        yield Place(house)

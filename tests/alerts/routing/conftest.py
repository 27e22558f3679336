"""A desk for each test: a dispatcher over a database on disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine as Database

from tests.alerts.routing.desk import PLAIN, Desk, parse


@pytest.fixture
def make_desk(database: Database) -> Callable[[str], Desk]:
    return lambda text: Desk(database, parse(text))


@pytest.fixture
def desk(make_desk: Callable[[str], Desk]) -> Desk:
    return make_desk(PLAIN)

"""The real app on a real temporary database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dashboard.house import House, MakeHouse, open_house


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[MakeHouse]:
    """Build apps; settings go in as keyword arguments."""
    with ExitStack() as houses:
        count = iter(range(100))
        yield lambda **settings: houses.enter_context(open_house(tmp_path / f"data{next(count)}", **settings))


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """An app with the stock settings, without a model."""
    return make_house()


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """As ``house``, but one for all tests that only look and change nothing."""
    with open_house(tmp_path_factory.mktemp("calm")) as house:
        yield house

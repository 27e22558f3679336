"""The real app on a real temporary database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from config import Settings
from tests.dashboard.house import House, MakeHouse


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[MakeHouse]:
    """Build apps; settings go in as keyword arguments. Nothing runs on its own."""
    houses: list[House] = []

    def make(**settings: Any) -> House:
        chosen = {"data_dir": tmp_path / f"data{len(houses)}", "model": {"enabled": False}} | settings
        houses.append(House(create_app(Settings.model_validate(chosen), start=False)))
        return houses[-1]

    yield make
    for house in houses:
        house.app.extensions["wakeless.application"].close()


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """An app with the stock settings, without a model."""
    return make_house()

from __future__ import annotations

import pytest
from sqlalchemy import Engine as Database

from tests.alerts.outage.scene import Scene


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)

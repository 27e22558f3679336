"""An outbox on disk."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine as Database

from alerts.delivery.outbox import Outbox
from tests.alerts.delivery.box import Post


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def post(database: Database, outbox: Outbox) -> Post:
    return Post(database, outbox)

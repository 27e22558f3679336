"""What the collectors' tests share."""

from __future__ import annotations

import pytest

from tests.collectors.fake_nvml import Clock, FakeNvml


@pytest.fixture
def nvml() -> FakeNvml:
    return FakeNvml()


@pytest.fixture
def clock() -> Clock:
    return Clock()

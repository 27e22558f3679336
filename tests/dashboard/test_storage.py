"""What the storage page is told."""

from __future__ import annotations

import time
from typing import Any

import pytest

from collectors.sample import Sample, Tick
from tests.dashboard.house import House, MakeHouse


def get(house: House) -> dict[str, Any]:
    answer = house.visitor().get("/api/storage", headers=house.token("viewer"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    document: dict[str, Any] = answer.get_json()
    return document


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def write(house: House, seconds: int) -> int:
    """So many ticks up to now; returns the time of the first."""
    first = now_ms() - seconds * 1000
    for second in range(seconds):
        house.services.store.append([Tick("nvml", first + second * 1000, (Sample("a", (), second * 1.5),))])
    return first


def test_a_house_without_history_costs_nothing(calm: House) -> None:
    found = get(calm)
    assert found["sources"] == found["problems"] == []
    assert found["oldest_ms"] is found["newest_ms"] is found["reaches_limit_ms"] is None
    assert (found["limit_bytes"], found["retention_days"]) == (10 * 1024**3, 30)
    assert found["bytes"] > 10_000


def test_it_tells_what_a_source_takes(house: House) -> None:
    first = write(house, 200)
    house.services.store.seal(everything=True)
    found = get(house)
    (source,) = found["sources"]
    assert source == {
        "source": "nvml",
        "series": 1,
        "samples_per_second": pytest.approx(1, rel=0.01),
        "bytes": pytest.approx(source["bytes_per_sample"] * 200),
        "bytes_per_sample": pytest.approx(source["bytes"] / 200),
    }
    assert (found["oldest_ms"], found["newest_ms"]) == (first, first + 199_000)


def test_no_limit_is_none(make_house: MakeHouse) -> None:
    house = make_house(storage={"max_bytes": 0})
    write(house, 100)
    found = get(house)
    assert found["limit_bytes"] is found["reaches_limit_ms"] is None


def test_what_is_wrong_is_told_with_what_to_do(house: House) -> None:
    house.services.store.problems.tell("disk_full", detail="no space left")
    (problem,) = get(house)["problems"]
    assert problem["kind"] == "disk_full"
    assert problem["since_ms"] <= now_ms()
    assert "disk is full" in problem["what"]
    assert problem["advice"]

"""How large an export would be, before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from collectors.sample import Sample, Tick, make_labels
from dashboard.estimate import Estimate
from tests.dashboard.house import House, open_house

START_MS = 1_700_000_000_000
SECONDS = 1800


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Half an hour of three series every second, one of them only in the second half, and one every ten."""
    with open_house(tmp_path_factory.mktemp("filled")) as house:
        ticks = []
        for second in range(SECONDS):
            samples = [Sample("a_ratio", make_labels(gpu=gpu), (second % 97) / 97) for gpu in (0, 1)]
            if second >= SECONDS / 2:
                samples.append(Sample("b_total", (), float(second)))
            ticks.append(Tick("fast", START_MS + second * 1000, tuple(samples)))
            if second % 10 == 0:
                ticks.append(Tick("slow", START_MS + second * 1000 + 7, (Sample("c_bytes", (), 1e9 + second),)))
        house.services.store.append(ticks)
        yield house


def ask(house: House, path: str, **query: Any) -> Any:
    window = {"start": START_MS, "end": START_MS + SECONDS * 1000}
    return house.visitor().get(
        f"/api/{path}?{urlencode({**window, **query}, doseq=True)}", headers=house.token("viewer")
    )


def both(house: House, **query: Any) -> tuple[Estimate, Estimate]:
    """What was said, and what was so."""
    said = ask(house, "export/estimate", **query)
    assert said.status_code == 200, said.text
    file = ask(house, "export.csv", **query).text
    head, *rows = file.splitlines()
    columns = len(head.split(",")) - 1 if query.get("format") != "long" else len({row.split(",")[1] for row in rows})
    return Estimate(**said.get_json()), Estimate(columns, len(rows), len(file.encode()))


@pytest.mark.parametrize("form", ["wide", "long"])
@pytest.mark.parametrize("seconds", [1, 60, 500])
def test_a_short_window_is_told_exactly(filled: House, form: str, seconds: int) -> None:
    said, true = both(filled, format=form, start=START_MS, end=START_MS + seconds * 1000)
    assert (said.series, said.rows) == (true.series if form == "wide" else 3, true.rows)
    assert said.bytes == pytest.approx(true.bytes, rel=0.25)


@pytest.mark.parametrize("step", [{}, {"step": "5s"}, {"step": "1m"}])
@pytest.mark.parametrize("form", ["wide", "long"])
def test_a_long_window_is_told_about(filled: House, form: str, step: dict[str, str]) -> None:
    said, true = both(filled, format=form, **step)
    assert said.series == 4
    assert said.rows == pytest.approx(true.rows, rel=0.15)
    assert said.bytes == pytest.approx(true.bytes, rel=0.2)


def test_selectors_choose_the_series(filled: House) -> None:
    said, true = both(filled, **{"match[]": ["b_total", "c_bytes"]})
    assert said.series == true.series == 2
    assert said.rows == pytest.approx(true.rows, rel=0.2)


def test_nothing_is_a_header(filled: House) -> None:
    said, true = both(filled, **{"match[]": "nothing"})
    assert said == true == Estimate(0, 0, 5)
    said, true = both(filled, start=START_MS - 9000, end=START_MS - 5000)
    assert said == true


def test_it_refuses_what_the_export_refuses(filled: House) -> None:
    assert ask(filled, "export/estimate", step="x").status_code == 422
    assert ask(filled, "export/estimate", **{"match[]": "rate(a[1m])"}).status_code == 400
    too_many = ask(filled, "export/estimate", **{"match[]": ["a"] * 101})
    assert too_many.status_code == 422
    assert "100 times at most" in too_many.get_json()["detail"]

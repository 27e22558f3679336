"""History as CSV over HTTP."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from collectors.sample import Sample, Tick, make_labels
from storage.error import StorageError
from tests.dashboard.house import House, open_house

START_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Three ticks of two series, the second with a gap."""
    with open_house(tmp_path_factory.mktemp("filled")) as house:
        fill(house)
        yield house


def fill(house: House) -> None:
    for number in range(3):
        samples = [Sample("a_ratio", make_labels(gpu="0"), number / 2)]
        if number != 1:
            samples.append(Sample("b_total", (), float(number)))
        house.services.store.append([Tick("t", START_MS + number * 1000, tuple(samples))])


def export(house: House, **query: str | list[str]) -> str:
    window = {"start": START_MS, "end": START_MS + 5000}
    answer = house.visitor().get(
        f"/api/export.csv?{urlencode({**window, **query}, doseq=True)}", headers=house.token("viewer")
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return answer.text


def test_everything_is_exported_without_a_selector(filled: House) -> None:
    assert export(filled).splitlines() == [
        'time,"a_ratio{gpu=""0""}",b_total',
        "2023-11-14T22:13:20.000Z,0,0",
        "2023-11-14T22:13:21.000Z,0.5,",
        "2023-11-14T22:13:22.000Z,1,2",
    ]


def test_selectors_choose_the_series(filled: House) -> None:
    chosen = {"match[]": ['{__name__=~"a.*",gpu="0"}', "nothing"]}
    assert export(filled, **chosen).splitlines()[0] == 'time,"a_ratio{gpu=""0""}"'


def test_the_long_form_has_a_row_for_each_sample(filled: House) -> None:
    rows = export(filled, **{"format": "long", "match[]": "b_total"}).splitlines()
    assert rows == ["time,series,value", "2023-11-14T22:13:20.000Z,b_total,0", "2023-11-14T22:13:22.000Z,b_total,2"]


def test_a_step_thins_it_out(filled: House) -> None:
    rows = export(filled, **{"step": "2s", "match[]": "a_ratio"}).splitlines()
    assert rows[1:] == ["2023-11-14T22:13:20.000Z,0", "2023-11-14T22:13:22.000Z,1"]


def test_the_file_is_named_after_its_window(filled: House) -> None:
    answer = filled.visitor().get(
        "/api/export.csv?start=2023-11-14T22:13:20Z&end=1700003600", headers=filled.token("viewer")
    )
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="wakeless_2023-11-14T221320Z_2023-11-14T231320Z.csv"'
    )


def test_a_file_is_compressed_on_its_way_to_who_sits_elsewhere_and_takes_it(filled: House) -> None:
    query = f"/api/export.csv?{urlencode({'start': START_MS, 'end': START_MS + 5000})}"
    answer = filled.visitor().get(
        query,
        headers={"Accept-Encoding": "gzip", **filled.token("viewer")},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data).decode() == export(filled)


@pytest.mark.parametrize(
    "selector", ["rate(a[1m])", "a[5m]", "a offset 5m", "a @ 3", "1", "{", "", '{a=~"("}', "a or b"]
)
def test_what_is_no_selector_is_refused(filled: House, selector: str) -> None:
    query = urlencode({"match[]": selector})
    answer = filled.visitor().get(f"/api/export.csv?{query}", headers=filled.token("viewer"))
    assert answer.status_code == 400
    assert answer.get_json()["field"] == "match[]"


def test_a_database_that_fails_at_once_is_a_problem_not_half_a_file(
    filled: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: object) -> None:
        raise StorageError("stuck", permanent=False)

    monkeypatch.setattr(filled.services.store, "labels", stuck)
    answer = filled.visitor().get("/api/export.csv", headers=filled.token("viewer"))
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"

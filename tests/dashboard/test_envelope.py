"""Answers, numbers and moments as Prometheus writes them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.sample import Series
from dashboard.envelope import STREAMED_POINTS, answer, exponential, rfc3339
from promql import Matrix, RawMatrix, Result, Scalar, String, Vector

T0 = 1_700_000_000_000
A, B = (("__name__", "a"), ("gpu", "0")), (("__name__", "b"),)


def body(result: Result, time_ms: int = T0) -> str:
    text: str = answer(result, time_ms).get_data(as_text=True)
    json.loads(text)
    return text


def result(found: Result, time_ms: int = T0) -> Any:
    return json.loads(body(found, time_ms))["data"]["result"]


def test_a_vector_has_one_point_for_each_series() -> None:
    found = body(Vector([A, B], np.array([0.5, math.nan])), T0 + 500)
    assert found == (
        '{"status":"success","data":{"resultType":"vector","result":['
        '{"metric":{"__name__":"a","gpu":"0"},"value":[1700000000.500,"0.5"]},'
        '{"metric":{"__name__":"b"},"value":[1700000000.500,"NaN"]}]}}'
    )


def test_a_matrix_leaves_out_what_is_absent() -> None:
    times = T0 + np.array([0, 250, 1000])
    values = np.array([[1.0, 2.0, 3.5], [math.nan, 7.0, math.nan]])
    present = np.array([[True, True, True], [False, True, False]])
    found = body(Matrix(times, [A, B], values, present))
    assert '"values":[[1700000000,"1"],[1700000000.250,"2"],[1700000001,"3.5"]]' in found
    assert '{"metric":{"__name__":"b"},"values":[[1700000000.250,"7"]]}' in found


def test_raw_samples_keep_their_own_times() -> None:
    shared = T0 + np.array([1, 2])
    series = [
        Series(A, shared, np.array([1.0, 2.0])),
        Series(B, shared, np.array([3.0, 4.0])),
        Series(B, np.array([T0]), np.array([5.0])),
    ]
    found = [one["values"] for one in result(RawMatrix(series))]
    assert found == [
        [[1700000000.001, "1"], [1700000000.002, "2"]],
        [[1700000000.001, "3"], [1700000000.002, "4"]],
        [[1700000000, "5"]],
    ]


@pytest.mark.parametrize(
    "found",
    [
        Vector([], np.empty(0)),
        Matrix(np.array([T0]), [], np.empty((0, 1)), np.empty((0, 1), dtype=bool)),
        RawMatrix([]),
        RawMatrix([Series(A, np.empty(0, dtype=np.int64), np.empty(0))]),
    ],
)
def test_nothing_is_an_empty_list(found: Result) -> None:
    assert result(found) == []


def test_a_scalar_is_spelled_out_and_its_time_has_no_zeros_at_the_end() -> None:
    assert '"result":[1700000000.5,"0.0000001"]' in body(Scalar(1e-7), T0 + 500)
    assert '"result":[1700000000,"1' + "0" * 30 + '"]' in body(Scalar(1e30))
    assert '"result":[1700000000.25,"+Inf"]' in body(Scalar(math.inf), T0 + 250)
    assert '"result":[1700000000,"a\\"b"]' in body(String('a"b'))


def test_notes_stand_beside_the_data_and_only_if_there_are_any() -> None:
    assert json.loads(body(Scalar(1.0))) == {
        "status": "success",
        "data": {"resultType": "scalar", "result": [1700000000, "1"]},
    }
    noted = json.loads(body(Scalar(1.0, warnings=("careful",), infos=("by the way",))))
    assert (noted["warnings"], noted["infos"]) == (["careful"], ["by the way"])
    timed = answer(Scalar(1.0, infos=("x",)), T0, {"timings": {}}).get_json()
    assert (timed["data"]["stats"], timed["infos"]) == ({"timings": {}}, ["x"])


def test_a_very_large_answer_is_written_while_it_is_sent() -> None:
    rows = STREAMED_POINTS // 1000
    values = np.arange(rows * 1000.0).reshape(rows, 1000)
    matrix = Matrix(T0 + 1000 * np.arange(1000), [B] * rows, values, np.ones(values.shape, dtype=bool))
    large = answer(matrix, T0)
    assert large.is_streamed
    found = json.loads(b"".join(large.iter_encoded()))["data"]["result"]
    assert len(found) == rows
    assert found[-1]["values"][-1] == [1700000999, str(rows * 1000 - 1)]
    assert not answer(Scalar(1.0), T0).is_streamed


@given(st.floats(allow_nan=False))
def test_an_alerts_value_reads_back_as_itself(value: float) -> None:
    assert float(exponential(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0e+00"),
        (1.0, "1e+00"),
        (85.5, "8.55e+01"),
        (0.001, "1e-03"),
        (1e100, "1e+100"),
        (-2e10, "-2e+10"),
        (math.inf, "+Inf"),
        (None, "NaN"),
    ],
)
def test_an_alerts_value_has_an_exponent(value: float | None, text: str) -> None:
    assert exponential(value) == text


def test_an_alerts_moment_is_rfc_3339() -> None:
    assert rfc3339(1435781430781) == "2015-07-01T20:10:30.781Z"
    assert rfc3339(None) == "0001-01-01T00:00:00Z"

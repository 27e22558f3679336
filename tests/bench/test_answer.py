"""Two answers are the same only if series, moments and values are."""

from __future__ import annotations

import orjson
import pytest

from bench.answer import compare


def answer(**series: list[list[object]]) -> bytes:
    result = [{"metric": {"gpu": gpu}, "values": values} for gpu, values in series.items()]
    return orjson.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_the_order_of_series_and_the_last_digit_do_not_matter() -> None:
    left = answer(a=[[1.5, "0.3"]], b=[[1.5, "NaN"], [2.5, "+Inf"]])
    right = answer(b=[[1.5, "NaN"], [2.5, "+Inf"]], a=[[1.5, "0.30000000000000004"]])
    found = compare(left, right)
    assert found.same
    assert (found.series, found.points) == (2, 3)
    assert 0 < found.worst < 1e-15


def test_a_value_that_differs_is_counted_and_shown() -> None:
    found = compare(answer(a=[[1, "1"], [2, "2"]]), answer(a=[[1, "1"], [2, "2.00001"]]))
    assert (found.other, found.same) == (1, False)
    assert '"gpu":"a"' in str(found)
    assert "2.00001" in str(found)


def test_points_that_only_one_has_are_counted_on_its_side() -> None:
    found = compare(answer(a=[[1, "1"], [2, "2"]]), answer(a=[[2, "2"], [3, "3"]], b=[[3, "3"]]))
    assert (found.alone_ours, found.alone_theirs, found.other) == (1, 2, 0)


def test_nan_is_not_a_number_and_infinities_have_a_sign() -> None:
    found = compare(answer(a=[[1, "NaN"], [2, "-Inf"]]), answer(a=[[1, "1"], [2, "+Inf"]]))
    assert found.other == 2


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="no matrix"):
        compare(orjson.dumps({"status": "error", "error": "no"}), answer())

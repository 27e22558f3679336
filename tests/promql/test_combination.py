"""Whatever is combined with whatever: a query has an answer or an error of its own, never another exception."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sample import STALE
from promql import Engine, QueryError, Vector
from promql.support import CALENDAR, MATH, RANGE
from tests.promql.memory import MemorySource
from tests.promql.notation import parse_labels, parse_values

_DATA = {
    'a{n="1",le="1"}': "1 2 3 NaN 5 Inf",
    'a{n="2",le="+Inf"}': "0 -1 stale 4 _ 6",
    'b{n="1"}': "_ _ 1e300 1e300 -1e300 0",
    'b{n="2",m="x"}': "3 3 3 stale",
    'c{n="1"}': "-Inf 7",
}


def _source() -> MemorySource:
    source = MemorySource()
    for name, values in _DATA.items():
        points = [(i * 60_000, value) for i, value in enumerate(parse_values(values)) if value is not None]
        source.add(parse_labels(name)[0], points)
    return source


_SELECTORS = st.sampled_from(["a", "b", "c", "nothing", 'a{n="1"}', '{n="1"}', "a offset 1m", "b @ 120", "a @ end()"])
_NUMBERS = st.sampled_from(["0", "1", "2.5", "-1", "NaN", "Inf", "scalar(a)", "scalar(c)", "time()", "1e20"])
_MATCHING = st.sampled_from(
    ["", "on(n)", "ignoring(m)", "on() group_left", "on(n) group_left(m)", "on(n) group_right(le)"]
)
_ARITHMETIC = st.sampled_from(["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<= bool", "> bool"])
_GROUPING = st.sampled_from(["", "by (n)", "without (n)", "by (__name__)"])
_PLAIN_RANGE = sorted(RANGE - {"quantile_over_time", "predict_linear", "double_exponential_smoothing"})
_INSTANT = sorted(MATH | CALENDAR | {"absent", "sort", "sort_desc", "timestamp", "round", "-", "+"})
_FOLDS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    ranges = st.one_of(
        st.builds(
            "{}[{}]".format, st.sampled_from(["a", "b", "nothing", '{n="1"}']), st.sampled_from(["2m", "90s", "1ms"])
        ),
        st.builds("({})[{}]".format, inner, st.sampled_from(["3m:", "2m:30s", "1m:1m", "1ms:1h"])),
    )
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(_INSTANT), inner),
        st.builds("{}({})".format, st.sampled_from([*_PLAIN_RANGE, "absent_over_time"]), ranges),
        st.builds("quantile_over_time({}, {})".format, _NUMBERS, ranges),
        st.builds("predict_linear({}, {})".format, ranges, _NUMBERS),
        st.builds("double_exponential_smoothing({}, 0.5, {})".format, ranges, _NUMBERS),
        st.builds("{} {} ({})".format, st.sampled_from(_FOLDS), _GROUPING, inner),
        st.builds(
            "{} {} ({}, {})".format, st.sampled_from(["topk", "bottomk", "quantile"]), _GROUPING, _NUMBERS, inner
        ),
        st.builds('count_values {} ("v", {})'.format, _GROUPING, inner),
        st.builds("({}) {} {} ({})".format, inner, _ARITHMETIC, _MATCHING, inner),
        st.builds("({}) {} {} ({})".format, inner, _ARITHMETIC, st.just(""), _NUMBERS),
        st.builds("({}) {} {} ({})".format, inner, st.sampled_from(["and", "or", "unless"]), st.just("on(n)"), inner),
        st.builds("histogram_quantile({}, {})".format, _NUMBERS, inner),
        st.builds('label_replace({}, "n", "$1", "le", "(.*)")'.format, inner),
        st.builds('label_join({}, "m", "-", "n", "le")'.format, inner),
        st.builds('sort_by_label({}, "n")'.format, inner),
        st.builds("clamp({}, {}, {})".format, inner, _NUMBERS, _NUMBERS),
        st.builds("vector({})".format, _NUMBERS),
    )


_EXPRESSIONS = st.recursive(_SELECTORS, _larger, max_leaves=4)


@settings(max_examples=500, deadline=None)
@given(text=_EXPRESSIONS, time=st.sampled_from([0, 90_000, 180_000, 3_000_000]))
def test_any_combination_has_an_answer_or_an_error_of_its_own(text: str, time: int) -> None:
    engine = Engine(_source())
    try:
        matrix = engine.range(text, time, time + 300_000, 60_000)
        vector = engine.instant(text, time)
    except QueryError as error:
        assert error.kind in ("bad_data", "execution"), text  # noqa: PT017 - either outcome is fine
        return
    assert len(set(matrix.labels)) == len(matrix.labels)
    assert matrix.values.shape == matrix.present.shape == (len(matrix.labels), 6)
    assert np.isnan(matrix.values[~matrix.present]).all()
    assert isinstance(vector, Vector)
    assert len(set(vector.labels)) == len(vector.labels) == len(vector.values)
    for values in (matrix.values[matrix.present], vector.values):
        assert not (np.ascontiguousarray(values).view(np.uint64) == np.float64(STALE).view(np.uint64)).any()

from __future__ import annotations

import pytest

from collectors.sample import Matcher, MatchOp, Sample, Tick, make_labels
from storage.error import StorageError
from storage.series import SeriesStore

T0 = 1_795_000_000_000


@pytest.fixture
def gpus(store: SeriesStore) -> SeriesStore:
    samples = [Sample("gpu_power_watts", make_labels(gpu=gpu, host="a"), 1.0) for gpu in range(3)]
    samples += [Sample("gpu_count", (), 3.0), Sample("note", (("text", "two\nlines"),), 1.0)]
    store.append([Tick("nvml", T0, tuple(samples))])
    return store


def found(store: SeriesStore, *matchers: tuple[str, MatchOp, str]) -> list[str]:
    answer = store.select([Matcher(*matcher) for matcher in matchers], T0, T0)
    return [dict(series.labels)["__name__"] + dict(series.labels).get("gpu", "") for series in answer]


@pytest.mark.parametrize(
    ("matchers", "expected"),
    [
        ([("__name__", "=", "gpu_count")], ["gpu_count"]),
        ([("gpu", "=", "1")], ["gpu_power_watts1"]),
        ([("gpu", "!=", "1")], ["gpu_power_watts0", "gpu_power_watts2", "gpu_count", "note"]),
        ([("gpu", "=", "")], ["gpu_count", "note"]),
        ([("gpu", "!=", "")], ["gpu_power_watts0", "gpu_power_watts1", "gpu_power_watts2"]),
        ([("gpu", "=~", "0|2")], ["gpu_power_watts0", "gpu_power_watts2"]),
        ([("gpu", "!~", "0|2"), ("host", "=", "a")], ["gpu_power_watts1"]),
        ([("gpu", "=~", ".*")], ["gpu_power_watts0", "gpu_power_watts1", "gpu_power_watts2", "gpu_count", "note"]),
        ([("gpu", "=~", ".+")], ["gpu_power_watts0", "gpu_power_watts1", "gpu_power_watts2"]),
        ([("__name__", "=~", "gpu")], []),  # anchored at both ends
        ([("__name__", "=~", "gpu_.*"), ("__name__", "!=", "gpu_count"), ("gpu", "=", "2")], ["gpu_power_watts2"]),
        ([("__name__", "=~", "gpu_count|note")], ["gpu_count", "note"]),
        ([("text", "=~", "two.lines")], ["note"]),  # a dot is any character, as in Prometheus
        ([("__name__", "=", "gpu_count"), ("__name__", "=", "note")], []),
        ([("absent", "=~", "")], ["gpu_power_watts0", "gpu_power_watts1", "gpu_power_watts2", "gpu_count", "note"]),
    ],
)
def test_matchers_mean_what_they_mean_in_prometheus(
    gpus: SeriesStore, matchers: list[tuple[str, MatchOp, str]], expected: list[str]
) -> None:
    assert found(gpus, *matchers) == expected
    assert found(gpus, *matchers) == expected  # also when the answer is remembered


def test_a_remembered_answer_learns_of_new_series(gpus: SeriesStore) -> None:
    assert found(gpus, ("gpu", "=~", "[0-9]")) == ["gpu_power_watts0", "gpu_power_watts1", "gpu_power_watts2"]
    more = (Sample("gpu_power_watts", make_labels(gpu=7, host="b"), 1.0),)
    gpus.append([Tick("other", T0, more)])
    assert found(gpus, ("gpu", "=~", "[0-9]"))[-1] == "gpu_power_watts7"


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?=x)", r"(a)\1", "a{1000}{1000}"])
def test_a_pattern_that_re2_does_not_take_is_refused_in_one_line(gpus: SeriesStore, pattern: str) -> None:
    with pytest.raises(StorageError, match="regular expression") as caught:
        found(gpus, ("gpu", "=~", pattern))
    assert "\n" not in str(caught.value)


def test_a_pattern_made_to_be_slow_is_not(gpus: SeriesStore) -> None:
    gpus.append([Tick("long", T0, (Sample("long", (("text", "a" * 5000),), 1.0),))])
    assert found(gpus, ("text", "=~", "(a+)+b")) == []  # a backtracking engine would never come back

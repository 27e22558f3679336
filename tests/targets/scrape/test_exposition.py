"""Reading what targets expose, compared with what prometheus_client writes and reads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.parser import text_string_to_metric_families

from collectors.sample import Labels
from targets.scrape.exposition import LONGEST_LINE, ExpositionError, Reader, is_openmetrics

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,10}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
VALUES = st.floats(allow_nan=True, allow_infinity=True)


def openmetrics_text(registry: CollectorRegistry) -> bytes:
    text: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


def read(text: str | bytes, *, om: bool = False) -> dict[Labels, float]:
    body = text.encode() if isinstance(text, str) else text
    found = Reader(lambda labels: labels).read(body, openmetrics=om)
    return dict(zip(found.meanings, found.values, strict=True))


class Once:
    """A collector of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> list[Metric]:
        return [self._family]


@settings(max_examples=60, deadline=None)
@given(
    name=NAMES,
    help_text=st.text(max_size=20),
    series=st.lists(st.tuples(st.dictionaries(LABEL_NAMES, TEXTS, max_size=3), VALUES), max_size=6),
)
def test_what_prometheus_client_writes_is_read_as_it_was(
    name: str, help_text: str, series: list[tuple[dict[str, str], float]]
) -> None:
    family = GaugeMetricFamily(name, help_text)
    wanted: dict[Labels, float] = {}
    for labels, value in series:
        key = tuple(sorted({"__name__": name, **labels}.items()))
        if key not in wanted:
            family.add_sample(name, labels, value)
            wanted[key] = value
    registry = CollectorRegistry()
    registry.register(Once(family))
    found = read(generate_latest(registry))
    assert found.keys() == wanted.keys()
    assert all(found[key] == wanted[key] or math.isnan(wanted[key]) for key in wanted)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("room_celsius", 'Warmth "inside"\nand out', ["room"], registry=registry).labels('a "b" \\ c\nd').set(-1.5e-7)
    Counter("orders", "Orders", ["kind"], registry=registry).labels("tea").inc(3, exemplar={"trace_id": "a # {b"})
    Histogram("wait_seconds", "Wait", registry=registry).observe(0.3, exemplar={"trace": "x"})
    Summary("size_bytes", "Size", registry=registry).observe(7)
    return registry


def test_all_kinds_of_metrics_are_read_from_both_formats_as_prometheus_clients_parser_reads_them() -> None:
    registry = _registry()
    text = generate_latest(registry)
    wanted = {
        tuple(sorted({"__name__": sample.name, **sample.labels}.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert read(text) == wanted
    from_openmetrics = read(openmetrics_text(registry), om=True)
    assert _without_created(from_openmetrics) == _without_created(wanted)


def _without_created(samples: dict[Labels, float]) -> dict[Labels, float]:
    return {labels: value for labels, value in samples.items() if not dict(labels)["__name__"].endswith("_created")}


def test_a_second_exposition_is_read_from_memory_to_the_same_result_and_says_what_changed() -> None:
    asked: list[Labels] = []

    def mean(labels: Labels) -> Labels:
        asked.append(labels)
        return labels

    reader = Reader(mean)
    body = openmetrics_text(_registry())
    first = reader.read(body, openmetrics=True)
    again = reader.read(body, openmetrics=True)
    assert (first.meanings, first.values, first.times) == (again.meanings, again.values, again.times)
    assert (first.changed, again.changed) == (True, False)
    assert len(asked) == len(first.meanings) == reader.remembered
    assert reader.read(b"a 1\n").changed
    assert reader.remembered == 1, "what is not exposed any more is not remembered"


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("a 1", {}, 1.0),
        ("a\t1", {}, 1.0),
        ('  a {b="c"} 1', {"b": "c"}, 1.0),
        ('a{b="c",} 1', {"b": "c"}, 1.0),
        ("a{} +Inf", {}, math.inf),
        ("a{} -Inf", {}, -math.inf),
        ("a 1e308", {}, 1e308),
        ("a -.5e-3 ", {}, -0.0005),
        ('a{b="} 2 # {"} 1', {"b": "} 2 # {"}, 1.0),
        (r'a{b="x\ty\\n"} 1', {"b": r"x\ty\n"}, 1.0),
        ('a{b=""} 1', {}, 1.0),
        ('a{b="é 中"} 1\r', {"b": "é 中"}, 1.0),
    ],
)
def test_a_line_is_read_by_the_grammar(line: str, labels: dict[str, str], value: float) -> None:
    key = tuple(sorted({"__name__": "a", **labels}.items()))
    assert read(f"# HELP a b\n{line}\n\n  # a comment\n") == {key: value}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a 1\x00\n", "NUL"),
        (b'ok 1\na{b="\xff"} 1\n', "line 2: it is not UTF-8"),
        (b'a{b="1",b="2"} 1\n', "twice"),
        (b'a{b="1"} 1\na{b="1"} 2\n', "twice"),
        (b"a 1e999\n", "too large"),
        (b"a -1e999\n", "too large"),
        (b"a 1_000\n", "not a number"),
        ("a ١\n".encode(), "not a number"),
        (b"a 0x10\n", "not a number"),
        (b'a{b="1} 1\n', "line 1"),
        (b'a{b="1\\"} 1\n', "line 1"),
        (b'a{b=1"} 1\n', "line 1"),
        (b"a{b} 1\n", "line 1"),
        (b"{} 1\n", "name"),
        (b"a\n", "value"),
        (b"<html>\n", "name"),
        (b"a 1 2 3\n", "value"),
        (b"a 1 99999999999999999999\n", "timestamp"),
        (b"a 1 1.5\n", "timestamp"),
        (b"a" * (LONGEST_LINE + 1) + b" 1\n", "longer"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ExpositionError, match=reason):
        read(body)


def test_a_known_series_is_no_way_around_the_rules() -> None:
    reader = Reader(lambda labels: labels)
    reader.read(b'a{b="c"} 1\n')
    for line in (b'a{b="c"} 1e999', b'a{b="c"} 1_0', b'a{b="c"} x', b'a{b="c"} 1 2 3', b'a{b="c"} 1\x00'):
        with pytest.raises(ExpositionError):
            reader.read(line + b"\n")
    assert reader.read(b'a{b="c"} 7 1000\n').times == [1000]


def test_a_line_of_ten_megabytes_is_refused_at_once() -> None:
    with pytest.raises(ExpositionError, match="line 1: longer"):
        read(b'a{b="' + b"x" * (10 << 20) + b'"} 1\n')


def test_timestamps_are_milliseconds_in_one_format_and_seconds_in_the_other() -> None:
    reader = Reader(lambda labels: labels)
    assert reader.read(b"a 1 1700000000123\nb 2\n").times == [1_700_000_000_123, None]
    assert reader.read(b"a 1 1700000000.123\nb 2\n# EOF\n", openmetrics=True).times == [1_700_000_000_123, None]


@pytest.mark.parametrize("body", [b"a 1\n", b"", b"a 1\n# EOF\nb 2\n# EOF\n", b"a 1\n# EO"])
def test_openmetrics_that_does_not_end_as_it_should_has_been_cut_short(body: bytes) -> None:
    with pytest.raises(ExpositionError, match="EOF"):
        read(body, om=True)


def test_the_format_is_told_by_its_content_type() -> None:
    assert is_openmetrics("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert not is_openmetrics("text/plain; version=0.0.4")
    assert not is_openmetrics("")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text('a{}="\\\n #1e.-+,', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_and_the_second_reading_agrees_with_the_first(body: bytes) -> None:
    reader = Reader(lambda labels: labels)
    try:
        first = reader.read(body)
    except ExpositionError:
        with pytest.raises(ExpositionError):
            reader.read(body)
        return
    again = reader.read(body)
    assert first.meanings == again.meanings
    assert first.times == again.times
    assert [repr(value) for value in first.values] == [repr(value) for value in again.values]

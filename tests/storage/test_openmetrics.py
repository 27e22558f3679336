"""OpenMetrics text in bulk, held against the reference parser of prometheus_client and against its own line grammar."""

from __future__ import annotations

import io
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from collectors.sample import METRIC_NAME, Labels
from storage.openmetrics import OpenMetricsError, OpenMetricsReader

Samples = dict[Labels, list[tuple[int, float]]]


def read(text: str | bytes, default_ms: int | None = None) -> Samples:
    """Everything in the file, each series in the order of its lines."""
    data = text.encode() if isinstance(text, str) else text
    found: Samples = {}
    for page in OpenMetricsReader(io.BytesIO(data), default_ms).pages():
        assert len({column.labels for column in page}) == len(page)
        for labels, times, values in page:
            found.setdefault(labels, []).extend(zip(times.tolist(), values.tolist(), strict=True))
    return found


def series(name: str, **labels: str) -> Labels:
    return tuple(sorted({METRIC_NAME: name, **labels}.items()))


def mistake(text: str | bytes) -> str:
    with pytest.raises(OpenMetricsError) as caught:
        read(text)
    return str(caught.value)


def same(one: Samples, other: Samples) -> bool:
    """Equal bit by bit, but for the kind of a NaN."""

    def key(value: float) -> tuple[str, float]:
        return ("nan", 1.0) if math.isnan(value) else (value.hex(), math.copysign(1, value))

    def keys(samples: Samples) -> dict[Labels, list[tuple[int, tuple[str, float]]]]:
        return {labels: [(time, key(value)) for time, value in pairs] for labels, pairs in samples.items()}

    return keys(one) == keys(other)


def test_a_dump_is_read() -> None:
    text = (
        'cpu_seconds_total{mode="idle",cpu="0"} 1.5 1700000000.123\n'
        'cpu_seconds_total{mode="idle",cpu="0"} 1.7179869184e+10 1700000005.124\n'
        'cpu_seconds_total{mode="user",cpu="0"} 3 1700000000.123\n'
        "up{} 1 1700000000.000\n"
        "up{} NaN 1700000001\n"
        "# EOF\n"
    )
    found = read(text)
    assert found[series("cpu_seconds_total", cpu="0", mode="idle")] == [
        (1_700_000_000_123, 1.5),
        (1_700_000_005_124, 17_179_869_184.0),
    ]
    assert found[series("cpu_seconds_total", cpu="0", mode="user")] == [(1_700_000_000_123, 3.0)]
    (first, second) = found[series("up")]
    assert first == (1_700_000_000_000, 1.0)
    assert second[0] == 1_700_000_001_000
    assert math.isnan(second[1])


def test_comments_exemplars_and_what_else_the_format_allows() -> None:
    text = (
        "# HELP requests Requests, \\n by path.\n"
        "# TYPE requests counter\n"
        "# UNIT requests requests\n"
        'requests_total{path="/a"} 1 10.5 # {trace_id="a b} c"} 0.5 10.4\n'
        'requests_total{path="/a"} 2 11.5 # {} 0.5\n'
        'requests_created{path="/a"} 9.5 10.5\n'
        'requests_total{ path="/a" , } 3   12.5\n'
        "\n"
        "# a remark\n"
        'quoted{value="\\"\\\\\\n\\x } 1 2 #"} +Inf 1e1\n'
        '{"with space",who="me"} -0 1\n'
        'empty{gone=""} 1 1\n'
    )
    found = read(text + "# EOF")
    assert found[series("requests_total", path="/a")] == [(10_500, 1.0), (11_500, 2.0), (12_500, 3.0)]
    assert found[series("requests_created", path="/a")] == [(10_500, 9.5)]
    assert found[series("quoted", value='"\\\n\\x } 1 2 #')] == [(10_000, math.inf)]
    assert math.copysign(1, found[series("with space", who="me")][0][1]) == -1
    assert found[series("empty")] == [(1000, 1.0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a 1", "the timestamp is missing"),
        ("a", "a value and a timestamp should follow"),
        ("a 1 2 3", "a value and a timestamp should follow"),
        ("a one 2", "the value 'one' is not a number"),
        ("a 1_0 2", "the value '1_0' is not a number"),
        ("a 1 2_0", "the timestamp '2_0' is not a number"),
        ("a true 2", "the value 'true' is not a number"),
        ("a null 2", "the value 'null' is not a number"),
        ("a [1] 2", "the value '[1]' is not a number"),
        ('a "1" 2', "is not a number"),
        ("a 1 1700000000123", "outside 1970 to 2248 (OpenMetrics counts seconds, not milliseconds)"),
        ("a 1 -1", "outside 1970 to 2248"),
        ("a 1 NaN", "outside 1970 to 2248"),
        ("a 1 1e999", "outside 1970 to 2248"),
        ('a{b="c" 1 2', "a label should be written"),
        ("a{b=c} 1 2", "a label should be written"),
        ('a{b="c"}1 2', "a blank is missing"),
        ('a{b="c",b="d"} 1 2', "the label b is given twice"),
        ('a{__name__="b"} 1 2', "the label __name__ is reserved"),
        ('{a="b"} 1 2', "no metric's name"),
        ("1a 1 2", "no metric's name"),
        ("a {count:1,sum:2} 3", "native histograms cannot be read"),
    ],
)
@pytest.mark.parametrize("around", [0, 1, 3000])
def test_a_bad_line_is_named_with_what_is_wrong(line: str, message: str, around: int) -> None:
    """Alone, between others of its series, and far behind the first window of a run."""
    before = "".join(f"a {number} {number}\n" for number in range(around))
    said = mistake(f"{before}{line}\n{before}# EOF\n")
    assert said.startswith(f"line {around + 1}: ")
    assert message in said


def test_an_error_on_a_later_page_has_its_line_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.openmetrics.PAGE_BYTES", 50)
    good = "".join(f'x{{a="b"}} {number} {number}\n' for number in range(100))
    assert mistake(f"{good}x 1\n").startswith("line 101: ")
    assert mistake(good.encode() + b'x{a="\xff"} 1 1\n') == "line 101: is not UTF-8"


def test_the_first_and_the_last_moment_are_read() -> None:
    """Each by the quick way, too: the last of three lines goes through it."""
    for text, moment in (
        ("8796093022.207", 2**43 - 1),
        ("0", 0),
        ("-0.0001", 0),
        ("1700000000.1235", 1_700_000_000_124),
    ):
        assert [time for time, _ in read(f"a 1 {text}\n" * 3 + "# EOF\n")[series("a")]] == [moment] * 3
    assert "outside 1970 to 2248" in mistake("a 1 8796093022.208\n")


def test_text_behind_the_end_is_an_error() -> None:
    assert mistake("a 1 2\n# EOF\na 1 3\n") == "line 3: there is text behind # EOF"
    assert read("a 1 2\n# EOF\n\n") == {series("a"): [(2000, 1.0)]}


def test_a_file_that_was_cut_says_so() -> None:
    assert mistake("a 1 1700000000.123\na 1 1700000005.1").startswith("line 2: ends in its middle")
    reader = OpenMetricsReader(io.BytesIO(b"a 1 2\n"))
    assert len(list(reader.pages())) == 1
    assert not reader.complete
    reader = OpenMetricsReader(io.BytesIO(b"a 1 2\n# EOF"))
    assert len(list(reader.pages())) == 1
    assert reader.complete


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    endless = io.BytesIO(b"a" * 10_000_000)
    with pytest.raises(OpenMetricsError, match="line 1: is longer"):
        list(OpenMetricsReader(endless).pages())
    assert endless.tell() < 5_000_000


def test_a_time_can_be_given_for_samples_without_one() -> None:
    found = read('a 1\nb{c="d"} 2 # {} 1\na 3 4\n# EOF\n', default_ms=1_700_000_000_007)
    assert found[series("a")] == [(1_700_000_000_007, 1.0), (4000, 3.0)]
    assert found[series("b", c="d")] == [(1_700_000_000_007, 2.0)]


def test_files_of_windows_are_read() -> None:
    text = "a 1 1\na 2 2\nb 1 1\n# EOF\n"
    assert read(text.replace("\n", "\r\n")) == read(text)


def test_lines_of_a_series_may_differ_in_everything_but_the_series() -> None:
    """A series is prefix of another's text; lines of one are spread, odd ones among them."""
    text = "a 1 1\na 2 2\nab 3 3\na 4 4\na  5 5\na{} 6 6\na{} 7 7\na 8 8 # {} 1\na 9 9\nab 1 1\n# EOF\n"
    found = read(text)
    assert [value for _, value in found[series("a")]] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert [value for _, value in found[series("ab")]] == [3, 1]


# --- against the reference ----------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,5}", fullmatch=True)
LABELS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,3}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8) | st.sampled_from(
    ["} 1 2", ' # {a="', ',"",', "\\", "\\n", '"', "\n", ", ", "a=b"]
)
FLOATS = st.floats() | st.integers(-(10**20), 10**20).map(float) | st.sampled_from([0.0, -0.0, 1e22, 5e-324])


def number_texts(value: float) -> st.SearchStrategy[str]:
    """Ways to write a float so that it reads back the same."""
    if math.isnan(value):
        return st.just("NaN")
    if math.isinf(value):
        return st.just("+Inf" if value > 0 else "-Inf")
    texts = [repr(value), f"{value:.20e}"]
    if value:  # the reference takes -0 for the integer
        texts.append(f"{value:.17g}")
    if value.is_integer() and abs(value) < 2**53 and math.copysign(1, value) > 0:
        texts += [str(int(value)), f"+{int(value)}"]
    return st.sampled_from(texts)


@st.composite
def dumps(draw: st.DrawFn) -> tuple[str, int]:
    """A valid file, series by series, with odd lines here and there, and the size of the pages to read it in."""
    lines = []
    keys: set[Labels] = set()
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        for labels in draw(st.lists(st.dictionaries(LABELS, VALUES, max_size=3), min_size=1, max_size=3)):
            key = series(name, **{label: value for label, value in labels.items() if value})
            if key in keys:
                continue
            keys.add(key)
            pairs = ",".join(f'{label}="{escape(value)}"' for label, value in labels.items())
            text = f"{name}{{{pairs}}}" if pairs or draw(st.booleans()) else name
            for second in sorted(draw(st.sets(st.integers(0, 8 * 10**12), min_size=1, max_size=6))):
                value = draw(FLOATS.flatmap(number_texts))
                lines.append(f"{text} {value} {second / 1000:.3f}")
    return "\n".join([*lines, "# EOF", ""]), draw(st.sampled_from([16, 64, 256, 1 << 20]))


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@settings(max_examples=150, deadline=None)
@given(dumps())
def test_it_reads_what_the_reference_reads(dump: tuple[str, int]) -> None:
    text, page_bytes = dump
    expected: Samples = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            labels = series(sample.name, **{label: value for label, value in sample.labels.items() if value})
            time = sample.timestamp
            assert time is not None
            expected.setdefault(labels, []).append((round(float(time) * 1000), float(sample.value)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.openmetrics.PAGE_BYTES", page_bytes)
        assert same(read(text), expected)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_quick_way_reads_what_the_grammar_reads(data: st.DataObject) -> None:
    """Lines of a few series in any order, some of them broken: samples, or the error and its line, are the same."""
    starts = st.sampled_from(['a{b="c"}', "a", "ab", 'a{b="c",}', "a{}"])
    numbers = st.sampled_from(
        ["1 2", "3.5 4", "NaN 5", "-0 6", "+1 7", "1 8 # {} 1", "1  9", "1e5 10\t", "1", "x 1", "1 2 3"]
    )
    usual = st.builds(lambda start, pair: f"{start} {pair}", starts, numbers)
    lines = data.draw(st.lists(usual | st.sampled_from(["", "# x", '"",']), max_size=30))
    chosen = [line for line in lines for _ in range(data.draw(st.integers(1, 3)))]
    text = "\n".join([*chosen, "# EOF", ""])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenMetricsReader, "_parse", OpenMetricsReader._parse_slowly)
        slow = outcome(text)
    quick = outcome(text)
    assert quick == slow if isinstance(slow, str) or isinstance(quick, str) else same(quick, slow)


def outcome(text: str | bytes) -> Samples | str:
    try:
        return read(text)
    except OpenMetricsError as error:
        return str(error)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_nothing_breaks_it(data: bytes) -> None:
    found = outcome(data)
    assert found.startswith("line ") if isinstance(found, str) else all(found.values())


def test_a_large_file_in_both_orders_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.openmetrics.PAGE_BYTES", 1 << 16)
    rng = random.Random(7)
    names = [f'a{{n="{number}"}}' for number in range(20)]
    moments = [f"{1_700_000_000 + second + rng.random() * 0.012:.3f}" for second in range(500)]
    value = {(name, moment): repr(rng.random()) for name in names for moment in moments}
    by_series = "".join(f"{name} {value[name, moment]} {moment}\n" for name in names for moment in moments)
    by_time = "".join(f"{name} {value[name, moment]} {moment}\n" for moment in moments for name in names)
    one, other = read(by_series), read(by_time)
    assert one == other
    assert sum(map(len, one.values())) == 10_000
    first = one[series("a", n="0")]
    assert [time for time, _ in first] == np.rint(np.array(moments, dtype=np.float64) * 1000).astype(int).tolist()

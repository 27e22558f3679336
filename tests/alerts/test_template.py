"""Annotation templates say what Prometheus would say, and never crash."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.template import Context, Template, TemplateError

CONTEXT = Context({"gpu": "0", "name": "NVIDIA H100"}, 0.9312345, {"site": "oslo"}, "http://wakeless.example")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("", ""),
        ("GPU {{ $labels.gpu }} at {{ $value }}", "GPU 0 at 0.9312345"),
        ("{{ .Labels.name }}: {{ .Value }}", "NVIDIA H100: 0.9312345"),
        ("{{$labels.absent}}|", "|"),
        ("{{ $externalLabels.site }} {{ $externalURL }}", "oslo http://wakeless.example"),
        ("{{ $.Labels.gpu }}", "0"),
        ("{{ $labels }}", "map[gpu:0 name:NVIDIA H100]"),
        ("{{ $value | humanizePercentage }}", "93.12%"),
        ('{{ $value | printf "%.2f" }}', "0.93"),
        ('{{ printf "%.2f of %s, %d%% %v %q %g" $value $labels.name 7 true "a\\"b" 0.5 }}', None),
        ('{{ printf "%5.1f|%-5s|%05d|%+d" 2.25 "ab" 42 7 }}', "  2.2|ab   |00042|+7"),
        ("{{ title $labels.name }} {{ toUpper `ab` }} {{ toLower `AB` }}", "NVIDIA H100 AB ab"),
        ("{{ if gt $value 0.9 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if lt $value 0.5 }}low{{ else if lt $value 0.95 }}mid{{ else }}high{{ end }}", "mid"),
        ("{{ with $labels.gpu }}card {{ . }}{{ end }}", "card 0"),
        ("{{ with $labels.absent }}x{{ else }}none{{ end }}", "none"),
        ("a  {{- /* a comment */ -}}  b", "ab"),
        ("a  {{- $labels.gpu -}}  b", "a0b"),
        ("{{ ($value | humanize) | toUpper }}", "931.2M"),
        ('{{ index $labels "gpu" }}', "0"),
        ('{{ if and (eq $labels.gpu "0") (not false) }}yes{{ end }}', "yes"),
        ('{{ "}}" }}', "}}"),
    ],
)
def test_it_expands_like_prometheus(text: str, expanded: str | None) -> None:
    if expanded is None:
        expanded = '0.93 of NVIDIA H100, 7% true "a\\"b" 0.5'
    assert Template(text).expand(CONTEXT) == expanded


@pytest.mark.parametrize(
    ("function", "value", "expanded"),
    [
        ("humanize", 1234567.0, "1.235M"),
        ("humanize", 0.0, "0"),
        ("humanize", -0.0015, "-1.5m"),
        ("humanize", math.inf, "+Inf"),
        ("humanize1024", 1048576.0, "1Mi"),
        ("humanize1024", 25769803776.0, "24Gi"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 59.5, "59.5s"),
        ("humanizeDuration", 3661.0, "1h 1m 1s"),
        ("humanizeDuration", 899999.0, "10d 9h 59m 59s"),
        ("humanizeDuration", -3600.0, "-1h 0m 0s"),
        ("humanizeDuration", 0.001, "1ms"),
        ("humanizePercentage", 0.123456, "12.35%"),
        ("humanizePercentage", math.nan, "NaN%"),
        ("humanizeTimestamp", 1435065584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("humanizeTimestamp", 1e300, "1e+300"),
    ],
)
def test_it_writes_numbers_for_people(function: str, value: float, expanded: str) -> None:
    assert Template(f"{{{{ $value | {function} }}}}").expand(Context({}, value)) == expanded


@pytest.mark.parametrize(
    ("value", "expanded"), [(90.0, "90"), (1e6, "1000000"), (1e21, "1e+21"), (1e-5, "1e-05"), (math.nan, "NaN")]
)
def test_it_shows_a_bare_value_as_go_does(value: float, expanded: str) -> None:
    assert Template("{{ $value }}").expand(Context({}, value)) == expanded


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ $foo }}", "$foo"),
        ("{{ .Foo }}", ".Foo"),
        ("{{ $value | sparkle }}", "sparkle"),
        ("{{ query `up` }}", "query"),
        ("{{ range $labels }}{{ end }}", "range"),
        ("{{ $x := 1 }}", "$x"),
        ("{{ $value", "never closed"),
        ("{{ if $value }}", "end"),
        ("{{ end }}", "end"),
        ("{{ }}", "nothing"),
        ("{{ $value | }}", "leads nowhere"),
        ("{{ humanize }}", "humanize"),
        ("{{ humanize 1 2 }}", "humanize"),
        ("{{ $labels.a.b }}", "deeper"),
        ("{{ $value | 5 }}", "5"),
        ("{{ % }}", "%"),
    ],
)
def test_it_refuses_at_load_what_it_does_not_know_and_names_it(text: str, named: str) -> None:
    with pytest.raises(TemplateError, match=named.replace("$", r"\$").replace(".", r"\.")):
        Template(text)


@pytest.mark.parametrize("text", ['{{ printf "%d" "x" }}', '{{ printf "%s" }}', '{{ printf "%y" 1 }}', "{{ . }}"])
def test_it_says_so_when_a_value_does_not_fit(text: str) -> None:
    with pytest.raises(TemplateError):
        Template(text).expand(CONTEXT)


_FRAGMENTS = st.sampled_from(
    [
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "$labels",
        "$value",
        ".x",
        ".",
        "|",
        "(",
        ")",
        '"',
        "`",
        "printf",
        "%d",
        "%9",
        "if",
        "else",
        "end",
        "with",
        "humanize",
        "1",
        "-1e5",
        "/*",
        "*/",
        "eq",
        "\n",
        "%",
        "\\",
        "漢",
        "index",
        "$",
        "nil",
    ]
)


@given(st.one_of(st.text(), st.lists(_FRAGMENTS, max_size=40).map("".join)), st.floats())
def test_it_never_crashes_whatever_the_text(text: str, value: float) -> None:
    try:
        expanded = Template(text).expand(Context({"gpu": "0"}, value))
    except TemplateError:
        return
    assert isinstance(expanded, str)


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_an_action_stays_as_it_is(text: str) -> None:
    template = Template(text)
    assert template.is_constant
    assert template.expand(CONTEXT) == text


def test_deep_nesting_is_refused_and_not_followed() -> None:
    with pytest.raises(TemplateError, match="deep"):
        Template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}")
    with pytest.raises(TemplateError, match="deep"):
        Template("{{ if true }}" * 5000)

"""Annotation templates say what Prometheus would say, and never crash."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.template import Context, Element, Template, TemplateError

CONTEXT = Context({"gpu": "0", "name": "NVIDIA H100"}, 0.9312345, {"site": "oslo"}, "http://wakeless.example")
WITH_QUERY = replace(
    CONTEXT,
    query=lambda text: [Element({"job": "b"}, 1.0), Element({"job": "a"}, 0.0)] if text == "up" else [],
)


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
    ("text", "expanded"),
    [
        ("{{ $x := 1 }}{{ $x = 2 }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ("{{ range $labels }}{{ . }};{{ end }}", "0;NVIDIA H100;"),
        ("{{ range $name, $text := $labels }}{{ $name }}={{ $text }} {{ end }}", "gpu=0 name=NVIDIA H100 "),
        ("{{ range query `up` }}{{ .Labels.job }}={{ .Value }} {{ end }}", "b=1 a=0 "),
        (
            "{{ range query `up` }}{{ if eq .Value 1.0 }}{{ continue }}{{ end }}{{ .Labels.job }}{{ break }}{{ end }}",
            "a",
        ),
        ("{{ range query `none` }}x{{ else }}none{{ end }}", "none"),
        ("{{ query `up` | first | value }} {{ with query `up` }}{{ . | first | label `job` }}{{ end }}", "1 b"),
        ("{{ range sortByLabel `job` (query `up`) }}{{ .Labels.job }}{{ end }} {{ len (query `up`) }}", "ab 2"),
        ("{{ (query `up` | first).Labels.job }}", "b"),
        ('{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" $value }}{{ template "x" }}', "<0.9312345><<no value>>"),
        ('{{ block "b" $labels.gpu }}[{{ . }}]{{ end }}', "[0]"),
        ('{{ with args 1 "a" }}{{ .arg0 }}{{ .arg1 }}{{ end }}', "1a"),
        ('{{ reReplaceAll "(.*) (.*)" "$2-${1}" $labels.name }}', "H100-NVIDIA"),
        ('{{ match "^NV" $labels.name }} {{ slice $labels.name 0 2 }} {{ index $labels "gpu" }}', "true NV 0"),
        ('{{ stripPort "db.example.com:80" }} {{ stripDomain "db.example.com:80" }}', "db.example.com db:80"),
        ('{{ stripDomain "10.0.0.1:80" }} {{ stripPort "[::1]:80" }}', "10.0.0.1:80 ::1"),
        ('{{ parseDuration "1h30m" }} {{ toTime 0 }}', "5400 1970-01-01 00:00:00 +0000 UTC"),
        (
            '{{ externalURL }}|{{ pathPrefix }}|{{ graphLink "up == 0" }}',
            "http://wakeless.example||/graph?g0.expr=up%20%3D%3D%200&g0.tab=0",
        ),
        ('{{ print 1 2 "a" 3 }} {{ html "<a>" }} {{ urlquery "a b" }} {{ safeHtml "<" }}', "1 2a3 &lt;a&gt; a+b <"),
        ("{{ if and $labels.absent (first (query `none`)) }}x{{ else }}no{{ end }}", "no"),
        ("{{ eq 1 2 3 1 }} {{ 'a' }} {{ 0x10 }} {{ 1e3 }} {{ `raw` }} {{ nil | print }}", None),
        ('{{ "\\u4f60\\x41\\101\\t" }}', "你AA\t"),
    ],
)
def test_it_knows_the_whole_language(text: str, expanded: str | None) -> None:
    if expanded is None:
        expanded, text = "true 97 16 1000 raw", text.removesuffix(" {{ nil | print }}")
    assert Template(text).expand(WITH_QUERY) == expanded


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ $foo }}", "$foo"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "$x"),
        ('{{ define "a" }}{{ $labels.x }}{{ end }}', "$labels"),
        ("{{ $value | sparkle }}", "sparkle"),
        ("{{ $value", "never closed"),
        ("{{/* x }}", "never closed"),
        ("{{ if $value }}", "end"),
        ("{{ end }}", "end"),
        ("{{ }}", "holds nothing"),
        ("{{ $value | 5 }}", "5"),
        ("{{ % }}", "%"),
        ("{{ break }}", "outside"),
        ("{{ 1x }}", "not a number"),
        ('{{ "a }}', "never closed"),
        ('{{ "\\q" }}', "escape"),
        ("{{ (1 }}", "never closed"),
        ("{{ 1) }}", "')'"),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", "else"),
        ("{{ $labels }.x }}", "}"),
        ("{{ template x }}", "template"),
        ('{{ define "a" }}1{{ end }}{{ define "a" }}2{{ end }}', "twice"),
    ],
)
def test_it_refuses_at_load_what_cannot_be_read_and_names_it(text: str, named: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(named)):
        Template(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ .Foo }}", "'.Foo' is not known"),
        ("{{ $.Foo.x }}", "'.Foo' is not known"),
        ("{{ if .Foo }}{{ end }}", "'.Foo' is not known"),
        ("{{ humanize }}", "'humanize' takes 1 argument, not 0"),
        ("{{ $value | humanize 1 }}", "'humanize' takes 1 argument, not 2"),
        ("{{ $labels.a.b }}", "goes deeper"),
        ("{{ .Labels.a.b }}", "goes deeper"),
    ],
)
def test_what_reads_well_and_cannot_work_is_doubted_and_fails_when_it_is_expanded(text: str, named: str) -> None:
    template = Template(text)
    assert any(named in doubt for doubt in template.doubts)
    with pytest.raises(TemplateError):
        template.expand(CONTEXT)


@pytest.mark.parametrize(
    "text", ["{{ with $labels }}{{ .Foo }}{{ end }}", "{{ range query `up` }}{{ .Value }}{{ end }}"]
)
def test_what_may_work_is_not_doubted(text: str) -> None:
    assert Template(text).doubts == []


@pytest.mark.parametrize(
    "text",
    [
        '{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
        "{{ range $labels }}" * 30 + "{{ end }}" * 30,
        '{{ $x := "aaaaaaaaaaaaaaaaaaaaaaaaaaaa" }}' + "{{ $x = print $x $x }}" * 30 + "{{ $x }}",
    ],
)
def test_no_template_takes_forever_or_all_memory(text: str) -> None:
    many = Context({f"label{number}": "x" for number in range(10)}, 1.0)
    with pytest.raises(TemplateError):
        Template(text).expand(many)


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

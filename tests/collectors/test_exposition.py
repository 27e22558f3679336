"""What Prometheus reads from us is what we have."""

from __future__ import annotations

import math
import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collectors.catalogue import METRICS, Metric
from collectors.exposition import format_value, render
from collectors.sample import Labels, Sample, make_labels

PROMTOOL = shutil.which("promtool")

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20)
_labels = st.dictionaries(st.from_regex(r"[a-z]\w{0,8}", fullmatch=True).filter(str.isascii), _texts, max_size=4)
_values = st.floats(allow_nan=False)


def parsed(samples: list[Sample]) -> list[Sample]:
    families = text_string_to_metric_families(render(samples).decode())
    return [
        Sample(sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
    ]


def full_catalogue() -> list[Sample]:
    """At least one sample of every metric there is, with all of its labels."""
    return [sample for metric in METRICS.values() for sample in _of(metric)]


def _of(metric: Metric) -> list[Sample]:
    labels: Labels = make_labels(**{f"{label}_" if label == "class" else label: "x" for label in metric.labels})
    if metric.type != "histogram":
        return [Sample(metric.name, labels, 1.0)]
    buckets = [
        Sample(f"{metric.name}_bucket", tuple(sorted((*labels, ("le", bound)))), 1.0) for bound in ("0.5", "+Inf")
    ]
    return [*buckets, Sample(f"{metric.name}_sum", labels, 0.4), Sample(f"{metric.name}_count", labels, 1.0)]


@settings(deadline=None)  # how long it takes is not the question
@given(st.lists(st.tuples(_labels, _values), max_size=5))
def test_labels_and_values_survive_the_way_through_text(rows: list[tuple[dict[str, str], float]]) -> None:
    samples = [Sample("load1", tuple(sorted(labels.items())), value) for labels, value in rows]
    assert parsed(samples) == samples


def test_infinities_and_nan_are_spelled_as_prometheus_spells_them() -> None:
    assert [format_value(value) for value in (math.inf, -math.inf, math.nan, 0.0, 1e21)] == [
        "+Inf",
        "-Inf",
        "NaN",
        "0.0",
        "1e+21",
    ]


def test_a_family_stands_in_one_block_with_its_help_and_type() -> None:
    text = render(
        [
            Sample("gpu_power_watts", (("gpu", "0"),), 10),
            Sample("load1", (), 1),
            Sample("gpu_power_watts", (("gpu", "1"),), 20),
        ]
    ).decode()
    assert text.splitlines() == [
        "# HELP gpu_power_watts Power drawn by the board.",
        "# TYPE gpu_power_watts gauge",
        'gpu_power_watts{gpu="0"} 10.0',
        'gpu_power_watts{gpu="1"} 20.0',
        "# HELP load1 Load average over 1 minute.",
        "# TYPE load1 gauge",
        "load1 1.0",
    ]


def test_an_unknown_name_is_typed_by_its_form() -> None:
    text = render(
        [
            Sample("latency_sum", (), 1),
            Sample("latency_bucket", (("le", "+Inf"),), 1),
            Sample("latency_count", (), 1),
            Sample("jobs_total", (), 1),
            Sample("depth", (), 1),
        ]
    ).decode()
    assert "# TYPE latency histogram" in text
    assert text.count("# TYPE latency") == 1
    assert "# TYPE jobs_total counter" in text
    assert "# TYPE depth untyped" in text


def test_nothing_is_an_empty_page() -> None:
    assert render([]) == b""


@pytest.mark.skipif(
    PROMTOOL is None and os.environ.get("CI") != "true",
    reason="promtool is not installed (Debian: apt install prometheus)",
)
def test_promtool_finds_nothing_to_say_about_the_full_catalogue() -> None:
    assert PROMTOOL is not None, "promtool is missing (Debian: apt install prometheus)"
    samples = [*full_catalogue(), Sample("renamed_total", (), 1)]
    check = subprocess.run([PROMTOOL, "check", "metrics"], input=render(samples), capture_output=True, timeout=30)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")

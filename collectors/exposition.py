"""The Prometheus text format, written from samples in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable

from collectors.catalogue import HISTOGRAM_SUFFIXES, family_of
from collectors.sample import Labels, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UNKNOWN_HELP = "Not in the catalogue: an alias or a metric from elsewhere."


def render(samples: Iterable[Sample]) -> bytes:
    """All samples as Prometheus text, each family in one block with its help and type, in order of first appearance."""
    families: dict[str, list[str]] = {}
    samples = list(samples)
    unknown_histograms = {sample.name.removesuffix("_bucket") for sample in samples if _is_bucket(sample)}
    for name, labels, value in samples:
        family = _family_name(name, unknown_histograms)
        block = families.get(family)
        if block is None:
            block = families[family] = [_header(family, family in unknown_histograms)]
        block.append(f"{name}{_label_text(labels)} {format_value(value)}\n")
    return "".join(line for block in families.values() for line in block).encode()


def format_value(value: float) -> str:
    """A float as Prometheus reads it, without loss."""
    if math.isfinite(value):
        return repr(float(value))
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def _is_bucket(sample: Sample) -> bool:
    """Whether this is a bucket of a histogram, by its name and its ``le``."""
    return sample.name.endswith("_bucket") and any(name == "le" for name, _ in sample.labels)


def _family_name(name: str, histograms: set[str]) -> str:
    known = family_of(name)
    if known is not None:
        return known.name
    for suffix in HISTOGRAM_SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in histograms:
            return name.removesuffix(suffix)
    return name


def _header(family: str, is_histogram: bool) -> str:
    known = family_of(family)
    if known is not None:
        return f"# HELP {family} {_escape_help(known.help)}\n# TYPE {family} {known.type}\n"
    kind = "histogram" if is_histogram else "counter" if family.endswith("_total") else "untyped"
    return f"# HELP {family} {_UNKNOWN_HELP}\n# TYPE {family} {kind}\n"


def _label_text(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")

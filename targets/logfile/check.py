"""What is wrong with what shall be looked for in logs, told before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config_target import LogMetric, LogPattern, LogTarget, TargetSettings
from targets.logfile.matching import patterns_of
from targets.logfile.meter import RESERVED
from targets.logfile.pattern import Pattern, PatternError, compile_regex

#: Names of series that we write ourselves.
_OURS = ("log_", "probe_", "wakeless_", "scrape_", "up", "push_")
MAX_PATTERNS = 200
MAX_BUCKETS = 50


def problems(targets: Sequence[TargetSettings]) -> list[str]:
    """A line for each thing that is wrong, naming the setting; none where all is well."""
    found = []
    for target in targets:
        for place, log in enumerate(target.log):
            where = f"targets.{target.name}.log" + (f".{place}" if len(target.log) > 1 else "")
            found += [f"{where}{problem}" for problem in log_problems(log)]
    return found


def log_problems(log: LogTarget) -> list[str]:
    """What is wrong with one log's settings; each begins with a dot and the setting's name."""
    found = list(_of_multiline(log.multiline))
    for place, pattern in enumerate(log.patterns):
        found += [f".patterns.{place}: {problem}" for problem in _of_pattern(pattern)]
    if len(log.patterns) > MAX_PATTERNS:
        found.append(f".patterns: {len(log.patterns)} are too many; at most {MAX_PATTERNS}")
    if not found:
        found += [f".patterns: {problem}" for problem in _of_all(log)]
    return found


def _of_multiline(regex: str | None) -> Iterator[str]:
    if regex is None:
        return
    try:
        compile_regex(regex)
    except PatternError as error:
        yield f".multiline: {error}"


def _of_pattern(settings: LogPattern) -> Iterator[str]:
    try:
        pattern = Pattern(settings)
    except PatternError as error:
        yield str(error)
        return
    if settings.match is not None and not settings.match.strip():
        yield "match must be more than blanks"
    if settings.regex is not None and pattern.search(b"") is not None and settings.level > 0:
        yield f"the regular expression {settings.regex[:100]!r} matches every line, an empty one too"
    if settings.metric is not None:
        yield from _of_metric(settings.metric, pattern)


def _of_metric(metric: LogMetric, pattern: Pattern) -> Iterator[str]:
    groups = pattern.groups
    known = ", ".join(name for name in groups if not name.isdigit()) or "none"
    named = [("metric.value", metric.value)] if metric.value is not None else []
    for setting, group in (*named, *((f"metric.labels.{label}", group) for label, group in metric.labels.items())):
        if group not in groups:
            yield f"{setting} is {group!r}, but the regex has no such group; it has {known}"
    for label in metric.labels:
        if label in RESERVED or label.startswith("__"):
            yield f"metric.labels.{label}: the name is taken; use another"
    if metric.name.startswith(_OURS[:-2]) or metric.name in _OURS:
        yield f"metric.name {metric.name!r} is one of our own; use another"
    if metric.value is None and metric.type != "counter":
        yield f"metric.value is needed for a {metric.type}"
    if metric.buckets and metric.type != "histogram":
        yield "metric.buckets are for a histogram"
    if len(metric.buckets) > MAX_BUCKETS or any(not abs(one) < float("inf") for one in metric.buckets):
        yield f"metric.buckets must be at most {MAX_BUCKETS} finite numbers"


def _of_all(log: LogTarget) -> Iterator[str]:
    """What is wrong only with all of them together."""
    names: set[str] = set()
    metrics: dict[str, tuple[object, ...]] = {}
    for pattern in patterns_of(log):
        if pattern.title in names:
            yield f"two are called {pattern.title[:80]!r}; give one a name"
        names.add(pattern.title)
        metric = pattern.settings.metric
        if metric is None:
            continue
        if metric.name in metrics:
            yield f"two make the metric {metric.name}; one metric is made by one pattern"
        metrics[metric.name] = (metric.type,)

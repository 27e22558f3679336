"""What the Prometheus API tells of the server itself: what it is, how it is set, and what is in its history."""

from __future__ import annotations

import os
import platform
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import psutil
import yaml

from collectors.catalogue import HISTOGRAM_SUFFIXES, family_of
from collectors.sample import METRIC_NAME, Labels, Matcher
from config import VERSION, Settings
from dashboard.envelope import rfc3339
from dashboard.moment import now_ms
from dashboard.question import BEGINNING_MS, END_MS
from dashboard.selector import EVERY_SERIES

#: The Prometheus whose language and API this server speaks. Clients choose by it what they ask for: Grafana, for one,
#: asks servers before 2.24 for whole series instead of names.
SPOKEN_VERSION = "3.0.0"


class Catalogue(Protocol):
    """What is asked of the history: :class:`storage.series.SeriesStore`, or anything that answers like it."""

    def labels(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """The label sets of all matching series in the window (inclusive)."""
        ...

    def span(self) -> tuple[int, int] | None:
        """The times of the oldest and the newest sample."""
        ...


def build() -> dict[str, str]:
    """Versions. Without ``features``, which tell Grafana that rules could be written here."""
    return {
        "version": SPOKEN_VERSION,
        "revision": f"wakeless-{VERSION}",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
        "application": "Wakeless",
    }


def runtime(settings: Settings, started_ms: int) -> dict[str, Any]:
    """The process, without the folder it works in: that is nobody's business on the network."""
    started = rfc3339(started_ms)
    return {
        "startTime": started,
        "serverTime": rfc3339(now_ms()),
        "CWD": "",
        "hostname": platform.node(),
        "reloadConfigSuccess": True,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": threading.active_count(),
        "GOMAXPROCS": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1,
        "GOMEMLIMIT": psutil.virtual_memory().total,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": _days(settings),
    }


def flags(settings: Settings) -> dict[str, str]:
    """Settings under the names of Prometheus' flags."""
    return {
        "log.level": settings.log.level,
        "storage.tsdb.retention.time": _days(settings),
        "web.enable-admin-api": "false",
        "web.enable-lifecycle": "false",
        "web.enable-remote-write-receiver": "false",
        "web.listen-address": f"{settings.server.host}:{settings.server.port}",
    }


def configuration(settings: Settings) -> str:
    """Settings as Prometheus' file has them."""
    intervals = {
        "scrape_interval": f"{settings.collectors.interval_seconds:g}s",
        "evaluation_interval": f"{settings.alerts.evaluation_interval_seconds:g}s",
    }
    return yaml.safe_dump({"global": intervals}, sort_keys=False)


def metadata(history: Catalogue, metric: str = "") -> dict[str, list[dict[str, str]]]:
    """Type, meaning and unit by metric, of those that are in ``history``; of ``metric`` alone if one is named."""
    matchers = _family(metric) if metric else EVERY_SERIES
    names = {dict(labels)[METRIC_NAME] for labels in history.labels(matchers, BEGINNING_MS, END_MS)}
    families = {family.name: family for name in names if (family := family_of(name)) is not None}
    return {
        name: [{"type": family.type, "help": family.help, "unit": family.unit}]
        for name, family in sorted(families.items())
        if metric in ("", name)
    }


def cardinality(history: Catalogue, most: int) -> dict[str, Any]:
    """How many series there are, by metric, label and pair of both; the ``most`` largest of each."""
    found = history.labels(EVERY_SERIES, BEGINNING_MS, END_MS)
    pairs = Counter(pair for labels in found for pair in labels)
    metrics = {value: count for (name, value), count in pairs.items() if name == METRIC_NAME}
    values, sizes = Counter(name for name, _ in pairs), defaultdict[str, int](int)
    for (name, value), count in pairs.items():
        sizes[name] += len(value.encode()) * count
    oldest_ms, newest_ms = history.span() or (2**63 - 1, -(2**63))
    return {
        "headStats": {
            "numSeries": len(found),
            "numLabelPairs": len(pairs),
            "minTime": oldest_ms,
            "maxTime": newest_ms,
        },
        "seriesCountByMetricName": _largest(metrics, most),
        "labelValueCountByLabelName": _largest(values, most),
        "memoryInBytesByLabelName": _largest(sizes, most),
        "seriesCountByLabelValuePair": _largest({f"{name}={value}": n for (name, value), n in pairs.items()}, most),
    }


def _family(metric: str) -> tuple[Matcher, ...]:
    """Matches the series of one metric; a histogram's by its counts."""
    family = family_of(metric)
    suffix = HISTOGRAM_SUFFIXES[-1] if family is not None and family.type == "histogram" else ""
    return (Matcher(METRIC_NAME, "=", metric.removesuffix(suffix) + suffix),)


def _largest(counts: Mapping[str, int], most: int) -> list[dict[str, str | int]]:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [{"name": name, "value": count} for name, count in ordered[:most]]


def _days(settings: Settings) -> str:
    return f"{settings.storage.retention_days:g}d"

"""One endpoint that is scraped: asks it, reads the answer, and makes ticks of it."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from collectors.sample import Labels, Sample, Tick
from config_target import ScrapeTarget
from targets.fetch import FetchError, Request, Response
from targets.scrape.cohort import Cohorts, Key
from targets.scrape.exposition import ExpositionError, Reader, Scraped, is_openmetrics
from targets.scrape.labelling import INSTANCE, Labelling

ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
#: A target's own timestamps may be so far ahead of our clock; what is further is left out.
AHEAD_MS = 60_000
#: What is kept of a reason. Counts in it are left out of the label, so that it does not change with each scrape.
_REASON_LENGTH = 120
_NUMBERS = re.compile(r"(?<=line )\d+|(?<=exposes )\d+|(?<=exposes more than )\d+")


@dataclass(frozen=True, slots=True)
class ScrapeState:
    """How the latest scrape went. ``up`` is None before the first; ``series`` are those that were kept."""

    target: str
    url_index: int
    up: bool | None = None
    error: str | None = None
    series: int = 0
    seconds: float = 0.0
    bytes: int = 0
    at_ms: int | None = None
    url: str = ""
    profile: str | None = None


#: Series beyond twice the limit that are still counted, to say how many there are.
_SPARE = 100


class _Failure(Exception):
    """A scrape that failed, in words that stand alone."""


@dataclass(slots=True)
class _Answer:
    """What a scrape has come to so far."""

    bytes: int = 0
    scraped: int = 0
    kept: int = 0


class ScrapeJob:
    """One endpoint of a target. Raises :class:`targets.scrape.relabel.RelabelError` if it can never be scraped.

    Scrapes do not overlap; ``state`` may be read from any thread.
    """

    def __init__(
        self,
        target: str,
        index: int,
        settings: ScrapeTarget,
        instance: str,
        fetch: Callable[[Request], Response],
    ) -> None:
        self.settings = settings
        self.instance = instance
        own = {"job": target, INSTANCE: instance, **settings.labels}
        self._labelling = Labelling(
            {**own, INSTANCE: own[INSTANCE] or instance}, settings.relabel, honor=settings.honor_labels
        )
        self._reader: Reader[Key | None] = Reader(self._meaning)
        self._fresh = 0  # series that the exposition at hand has brought
        self._fetch = fetch
        self._source = f"scrape:{target}/{index}"
        self._report = f"scrape-report:{target}/{index}"
        self._timed = Cohorts(f"scrape-timed:{target}/{index}")
        self._lock = threading.Lock()  # of what was timed
        self.state = ScrapeState(target, index, url=settings.url, profile=settings.profile)

    def scrape(self, now_ms: int) -> list[Tick]:
        """Scrape once; ``now_ms`` is the time of its series."""
        answer = _Answer()
        started = time.perf_counter()
        error: str | None = None
        ticks = [Tick(self._source, now_ms, ())]
        try:
            ticks = self._series(self._ask(answer), answer, now_ms)
        except FetchError as failure:
            if failure.kind == "too_large":
                answer.bytes = self.settings.max_bytes
            error = str(failure)
        except (ExpositionError, _Failure) as failure:
            error = str(failure)
        seconds = time.perf_counter() - started
        self.state = replace(
            self.state,
            up=error is None,
            error=error,
            series=answer.kept if error is None else 0,
            seconds=seconds,
            bytes=answer.bytes,
            at_ms=now_ms,
        )
        return [*ticks, Tick(self._report, now_ms, tuple(self._reports(answer, seconds, error)))]

    def end(self, now_ms: int) -> list[Tick]:
        """End all series: the endpoint is scraped no more."""
        with self._lock:
            timed = sorted(self._timed.sources)
        return [Tick(source, now_ms, ()) for source in (self._source, self._report, *timed)]

    # --- within ---------------------------------------------------------------------------------------------------

    def _ask(self, answer: _Answer) -> Response:
        settings = self.settings
        response = self._fetch(
            Request(
                settings.url,
                headers=_headers(settings),
                timeout_seconds=settings.timeout_seconds,
                max_bytes=settings.max_bytes,
                verify=settings.verify,
            )
        )
        answer.bytes = len(response.body)
        if response.status != 200:
            raise _Failure(f"answers with status {response.status}")
        if response.truncated:
            raise _Failure(f"its answer is larger than max_bytes ({settings.max_bytes})")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _Failure("its answer is compressed, which was not asked for")
        return response

    def _series(self, response: Response, answer: _Answer, now_ms: int) -> list[Tick]:
        openmetrics = is_openmetrics(response.headers.get("content-type", ""))
        self._fresh = 0
        try:
            found = self._reader.read(response.body, openmetrics=openmetrics)
        except _Failure:
            answer.scraped = answer.kept = self._fresh
            raise
        answer.scraped = len(found.values)
        answer.kept = answer.scraped - found.meanings.count(None)
        if answer.kept > self.settings.max_series:
            self._reader.forget()
            raise _Failure(f"exposes {answer.kept} series, more than max_series ({self.settings.max_series})")
        if found.changed:
            _refuse_doubles(found.meanings)
        return [*self._timed_ticks(found, now_ms), Tick(self._source, now_ms, tuple(self._samples(found)))]

    def _meaning(self, exposed: Labels) -> Key | None:
        """What is kept of a series. Of far too many no more are read: they would take memory without end."""
        key = self._labelling.of(exposed)
        self._fresh += key is not None
        if self._fresh > 2 * self.settings.max_series + _SPARE:
            raise _Failure(
                f"exposes more than {self._fresh - 1} series, more than max_series ({self.settings.max_series})"
            )
        return key

    def _samples(self, found: Scraped[Key | None]) -> list[Sample]:
        timed = self.settings.honor_timestamps
        return [
            Sample(key.name, key.labels, value)
            for key, value, time_ms in zip(found.meanings, found.values, found.times, strict=True)
            if key is not None and (time_ms is None or not timed)
        ]

    def _timed_ticks(self, found: Scraped[Key | None], now_ms: int) -> list[Tick]:
        """The samples that come with a time of their own, where that is honoured."""
        if not self.settings.honor_timestamps:
            return []
        with self._lock:
            for key, value, time_ms in zip(found.meanings, found.values, found.times, strict=True):
                if key is not None and time_ms is not None and time_ms <= now_ms + AHEAD_MS:
                    self._timed.add(None, key, time_ms, value, now_ms)
            return self._timed.flush(now_ms, 0)

    def _reports(self, answer: _Answer, seconds: float, error: str | None) -> list[Sample]:
        labels = self._labelling.own
        values = {
            "up": float(error is None),
            "scrape_duration_seconds": seconds,
            "scrape_samples_scraped": float(answer.scraped),
            "scrape_samples_post_metric_relabeling": float(answer.kept),
            "scrape_response_size_bytes": float(answer.bytes),
            "scrape_sample_limit": float(self.settings.max_series),
            "scrape_body_size_limit_bytes": float(self.settings.max_bytes),
        }
        reports = [Sample(name, labels, value) for name, value in values.items()]
        if error is not None:
            reports.append(Sample("scrape_failure_info", _with_reason(labels, error), 1.0))
        return reports


def instances(settings: Sequence[ScrapeTarget]) -> list[str]:
    """The label ``instance`` of each endpoint of a target: host and port, with the path where that is not enough."""
    hosts = [_host(one.url) for one in settings]
    return [
        host if hosts.count(host) == 1 else host + urlsplit(one.url).path
        for host, one in zip(hosts, settings, strict=True)
    ]


def _host(url: str) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    named = netloc.rpartition(":")[2].isdigit() and not netloc.endswith("]")
    return netloc if named else f"{netloc}:{443 if parts.scheme == 'https' else 80}"


def _headers(settings: ScrapeTarget) -> dict[str, str]:
    headers = {
        "Accept": ACCEPT,
        "User-Agent": "Wakeless",
        "X-Prometheus-Scrape-Timeout-Seconds": f"{settings.timeout_seconds:g}",
    }
    if settings.username is not None:
        password = settings.password.get_secret_value() if settings.password else ""
        pair = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    elif settings.bearer_token is not None:
        headers["Authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
    return {**headers, **settings.headers}


def _refuse_doubles(keys: Sequence[Key | None]) -> None:
    """Two texts may name one series, in another order of labels or once relabelling is through."""
    seen: set[Key] = set()
    for key in keys:
        if key in seen:
            labels = ",".join(f'{name}="{value}"' for name, value in key.labels)
            raise ExpositionError(f"the series {key.name}{{{labels}}} is there twice"[:300])
        if key is not None:
            seen.add(key)


def _with_reason(labels: Labels, error: str) -> Labels:
    reason = _NUMBERS.sub("…", error)[:_REASON_LENGTH]
    return tuple(sorted((*(pair for pair in labels if pair[0] != "reason"), ("reason", reason))))

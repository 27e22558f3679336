"""OpenTelemetry's metrics (OTLP) as Prometheus series. Imported with the first request only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    SummaryDataPoint,
)

from collectors.sample import METRIC_NAME, STALE, Labels
from targets.scrape.inbox import Point
from targets.scrape.otlp_name import bound_text, label_name, metric_name, text_of

_IDENTITY = frozenset({"service.name", "service.namespace", "service.instance.id"})
_NS_PER_MS = 1_000_000


#: Data points, metrics, scopes, resources and attributes in one request, and the samples that these become.
MOST_PARTS = 200_000


class OtlpError(ValueError):
    """A body that is no export of metrics, and would be none if it came again."""


class TooLarge(OtlpError):
    """It holds more than may be sent at once."""


@dataclass(slots=True)
class Export:
    """What a request holds: samples, and how many data points were left out for which reason."""

    points: list[Point] = field(default_factory=list)
    data_points: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    parts: int = 0

    def count(self, *parts: Sized) -> None:
        """Count what is about to be read. Raises :class:`TooLarge`."""
        self.parts += sum(map(len, parts))
        if self.parts > MOST_PARTS or len(self.points) > MOST_PARTS:
            raise TooLarge(f"the request holds more than {MOST_PARTS} data points and other parts")


def read(body: bytes, now_ms: int, *, json: bool = False) -> Export:
    """All data points as samples; ``now_ms`` is the time of those without one. Raises :class:`OtlpError`."""
    request = ExportMetricsServiceRequest()
    try:
        if json:
            json_format.Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise OtlpError("the body holds no ExportMetricsServiceRequest") from error
    export = Export()
    export.count(request.resource_metrics)
    for resource in request.resource_metrics:
        _Resource(resource, export, now_ms).read(resource)
    return export


def answer(rejected: int, message: str, *, json: bool = False) -> bytes:
    """The response: empty where all was taken."""
    response = ExportMetricsServiceResponse()
    if rejected or message:
        part = ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=message)
        response.partial_success.CopyFrom(part)
    body: bytes = json_format.MessageToJson(response).encode() if json else response.SerializeToString()
    return body


class _Resource:
    """One resource's metrics: they share job, instance and a ``target_info``."""

    def __init__(self, resource: ResourceMetrics, export: Export, now_ms: int) -> None:
        export.count(resource.resource.attributes)
        attributes = {one.key: text_of(one.value) for one in resource.resource.attributes}
        self._export = export
        self._now_ms = now_ms
        self._base = _identity(attributes)
        others = {key: value for key, value in attributes.items() if key not in _IDENTITY}
        self._info = _merged(others.items()) if self._base else {}
        self._latest_ms = 0

    def read(self, resource: ResourceMetrics) -> None:
        self._export.count(resource.scope_metrics)
        for scope in resource.scope_metrics:
            self._export.count(scope.metrics)
            for metric in scope.metrics:
                self._metric(metric)
        if self._info and self._latest_ms:
            self._export.points.append((_labels("target_info", {**self._info, **self._base}), self._latest_ms, 1.0))

    def _metric(self, metric: Metric) -> None:
        kind = metric.WhichOneof("data")
        if kind is None:
            return
        data: Any = getattr(metric, kind)
        self._export.count(data.data_points)
        self._export.data_points += len(data.data_points)
        reason = _refusal(kind, data, metric)
        if reason:
            self._export.rejected[reason] += len(data.data_points)
            return
        monotonic = kind == "sum" and data.is_monotonic
        gauge = kind == "gauge" or (kind == "sum" and not monotonic)
        name = metric_name(metric.name, metric.unit, monotonic=monotonic, gauge=gauge)
        for point in data.data_points:
            time_ms = point.time_unix_nano // _NS_PER_MS or self._now_ms
            self._latest_ms = max(self._latest_ms, time_ms)
            self._export.count(point.attributes, *_inner(point))
            own = {**_merged((one.key, text_of(one.value)) for one in point.attributes), **self._base}
            gone = bool(point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
            for suffix, extra, value in _READERS[kind](point):
                labels = _labels(name + suffix, {**own, **extra})
                self._export.points.append((labels, time_ms, STALE if gone else value))


_Part = tuple[str, Mapping[str, str], float]


def _number(point: NumberDataPoint) -> Iterator[_Part]:
    whole = point.WhichOneof("value") == "as_int"
    yield "", {}, float(point.as_int) if whole else point.as_double


def _histogram(point: HistogramDataPoint) -> Iterator[_Part]:
    total = 0
    for bound, count in zip(point.explicit_bounds, point.bucket_counts, strict=False):
        total += count
        yield "_bucket", {"le": bound_text(bound)}, float(total)
    yield "_bucket", {"le": "+Inf"}, float(point.count)
    yield "_count", {}, float(point.count)
    if point.HasField("sum"):
        yield "_sum", {}, point.sum


def _summary(point: SummaryDataPoint) -> Iterator[_Part]:
    for one in point.quantile_values:
        yield "", {"quantile": bound_text(one.quantile)}, one.value
    yield "_count", {}, float(point.count)
    yield "_sum", {}, point.sum


def _inner(point: Any) -> Iterator[Sized]:
    """What a data point holds itself."""
    if isinstance(point, HistogramDataPoint):
        yield point.bucket_counts
    elif isinstance(point, SummaryDataPoint):
        yield point.quantile_values


_READERS: Mapping[str, Any] = {"gauge": _number, "sum": _number, "histogram": _histogram, "summary": _summary}


def _refusal(kind: str, data: Any, metric: Metric) -> str | None:
    """Why a metric cannot be taken."""
    if not metric_name(metric.name, ""):
        return "a metric without a name"
    if kind not in _READERS:
        return f"{metric.name[:80]}: exponential histograms are not supported; use explicit buckets"
    if kind in ("sum", "histogram"):
        if data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
            return f"{metric.name[:80]}: delta temporality is not supported; export cumulative sums"
        if data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_UNSPECIFIED:
            return f"{metric.name[:80]}: its temporality is not given"
    return None


def _identity(attributes: Mapping[str, str]) -> dict[str, str]:
    """job and instance, as Prometheus makes them of the service's attributes."""
    names = [attributes.get("service.namespace", ""), attributes.get("service.name", "")]
    found = {
        "job": "/".join(filter(None, names)) if names[1] else "",
        "instance": attributes.get("service.instance.id", ""),
    }
    return {name: value for name, value in found.items() if value}


def _merged(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Labels of attributes; the values of two that become one label are joined."""
    labels: dict[str, str] = {}
    for key, value in sorted(attributes):
        name = label_name(key)
        if name and name != METRIC_NAME:
            labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels


def _labels(name: str, labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((label, value) for label, value in {METRIC_NAME: name, **labels}.items() if value))

"""Prometheus remote write 1.0: a ``WriteRequest`` in protobuf, packed by Snappy's block format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from collectors.sample import METRIC_NAME, Labels
from targets.scrape.inbox import Point

VERSION = "0.1.0"
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

#: message → field → number, type, message; as prometheus/prompb/remote.proto and types.proto have them.
_MESSAGES: dict[str, dict[str, tuple[int, str, str]]] = {
    "Label": {"name": (1, "string", ""), "value": (2, "string", "")},
    "Sample": {"value": (1, "double", ""), "timestamp": (2, "int64", "")},
    "Histogram": {},
    "TimeSeries": {
        "labels": (1, "repeated", "Label"),
        "samples": (2, "repeated", "Sample"),
        "histograms": (4, "repeated", "Histogram"),
    },
    "WriteRequest": {"timeseries": (1, "repeated", "TimeSeries")},
}


class WriteError(ValueError):
    """A request that cannot be read, and would not be if it came again."""


class TooLarge(WriteError):
    """It is larger unpacked than it may be."""


def unpack(body: bytes, max_bytes: int) -> bytes:
    """The request in protobuf. Raises :class:`WriteError`; of a bomb nothing is unpacked."""
    import cramjam

    try:
        if cramjam.snappy.decompress_raw_len(body) > max_bytes:
            raise TooLarge(f"the request is larger than {max_bytes} bytes when it is unpacked")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise WriteError("the body is not compressed by Snappy's block format") from error


def read(message: bytes) -> tuple[list[Point], int]:
    """All samples, in order of series, and how many native histograms were left out. Raises :class:`WriteError`."""
    from google.protobuf.message import DecodeError

    request = _write_request()()
    try:
        request.ParseFromString(message)
    except DecodeError as error:
        raise WriteError("the body holds no WriteRequest in protobuf") from error
    histograms = sum(len(series.histograms) for series in request.timeseries)
    return list(_points(request)), histograms


def _points(request: Any) -> Iterator[Point]:
    for series in request.timeseries:
        labels = _labels([(pair.name, pair.value) for pair in series.labels])
        for sample in series.samples:
            yield labels, sample.timestamp, sample.value


def _labels(pairs: list[tuple[str, str]]) -> Labels:
    labels: dict[str, str] = {}
    for name, value in pairs:
        if name in labels:
            raise WriteError(f"the label {name[:60]!r} is there twice in one series")
        if _LABEL.fullmatch(name) is None or "\0" in value:
            raise WriteError(f"the label {name[:60]!r} cannot be one")
        labels[name] = value
    if _METRIC.fullmatch(labels.get(METRIC_NAME, "")) is None:
        raise WriteError(f"{labels.get(METRIC_NAME, '')[:60]!r} cannot be the name of a metric")
    return tuple(sorted((name, value) for name, value in labels.items() if value))


@lru_cache(maxsize=1)
def _write_request() -> Any:
    """The class of ``WriteRequest``; of its messages what is used, since others are skipped."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="remote_write.proto", package="prometheus", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, of) in fields.items():
            repeated = kind == "repeated"
            message.field.add(
                name=field,
                number=number,
                label=types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL,
                type=types.TYPE_MESSAGE if repeated else types.Type.Value(f"TYPE_{kind.upper()}"),
                type_name=f".prometheus.{of}" if repeated else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))

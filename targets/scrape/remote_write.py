"""Prometheus remote write 1.0: a ``WriteRequest`` in protobuf, packed by Snappy's block format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from collectors.sample import METRIC_NAME, Labels
from targets.scrape.inbox import Point

VERSION = "0.1.0"
#: Samples (or series) and labels of one request, and the length of a series: Prometheus sends 2,000 samples.
MOST_SAMPLES = 100_000
MOST_LABELS = 1_000_000
MOST_SERIES_BYTES = 1024 * 1024
#: Protobuf's types of wire with what they take, and the tag of ``WriteRequest.timeseries``.
_VARINT, _SIZED, _FIXED = 0, 2, {1: 8, 5: 4}
_SERIES = 1 << 3 | _SIZED
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

    points: list[Point] = []
    labelled = histograms = 0
    try:
        for packed in _series(message):
            series = _time_series().FromString(packed)
            labelled += len(series.labels)
            if labelled > MOST_LABELS or len(points) + len(series.samples) > MOST_SAMPLES:
                raise TooLarge(f"the request holds more than {MOST_SAMPLES} samples or {MOST_LABELS} labels")
            histograms += len(series.histograms)
            labels = _labels([(pair.name, pair.value) for pair in series.labels])
            points += [(labels, sample.timestamp, sample.value) for sample in series.samples]
    except DecodeError as error:
        raise WriteError("the body holds no WriteRequest in protobuf") from error
    return points, histograms


def _series(message: bytes) -> Iterator[bytes]:
    """The request cut into its series; all else in it is passed over. Raises :class:`WriteError`.

    One is read at a time, as a request that is nothing but empty parts takes forty times its size once it is read.
    """
    place = count = 0
    try:
        while place < len(message):
            tag, place = _varint(message, place)
            kind = tag & 7
            if kind == _VARINT:
                place = _varint(message, place)[1]
                continue
            size, place = _varint(message, place) if kind == _SIZED else (_FIXED[kind], place)
            if place + size > len(message):
                raise IndexError
            if tag == _SERIES:
                count += 1
                if count > MOST_SAMPLES or size > MOST_SERIES_BYTES:
                    raise TooLarge(f"the request holds more than {MOST_SAMPLES} series, or one of more than 1 MiB")
                yield message[place : place + size]
            place += size
    except (IndexError, KeyError):
        raise WriteError("the body holds no WriteRequest in protobuf") from None


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """The number at ``place``, and where it ends. Raises ``IndexError`` where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise IndexError


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


@lru_cache(maxsize=1)
def _time_series() -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_write_request().DESCRIPTOR.fields_by_name["timeseries"].message_type)

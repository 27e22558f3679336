"""The Prometheus API's outer form: ``{status, data}`` or ``{status, errorType, error}``, numbers as Go writes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain, compress
from typing import Any, Literal

import orjson
from flask import Response

from collectors.sample import Labels, Times
from dashboard.moment import iso
from dashboard.point import leads, points, time_as_text, times_as_text, value_as_text, values_as_text
from promql import Matrix, QueryError, RawMatrix, Result, Scalar, String, Vector

ErrorType = Literal["bad_data", "execution", "timeout", "canceled", "internal", "unavailable", "not_found"]

STATUS: dict[ErrorType, int] = {
    "bad_data": 400,
    "not_found": 404,
    "execution": 422,
    "canceled": 503,
    "timeout": 503,
    "internal": 500,
    "unavailable": 503,
}
JSON = "application/json"
#: Points of an answer that is sent series by series, so that it never lies in memory as a whole.
STREAMED_POINTS = 500_000


class ApiError(Exception):
    """An error of the Prometheus API on its way out."""

    def __init__(self, type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.type: ErrorType = type


def success(data: Any, warnings: Sequence[str] = ()) -> Response:
    """The envelope around what JSON can carry."""
    return Response(orjson.dumps({"status": "success", "data": data, **_notes(warnings, ())}), mimetype=JSON)


def answer(result: Result, time_ms: int, stats: dict[str, Any] | None = None) -> Response:
    """The envelope around the result of a query at ``time_ms``; very large ones are sent while they are written."""
    kind, inside = _of_result(result, time_ms)
    head = b'{"status":"success","data":{"resultType":"%b","result":' % kind
    beside = b"" if stats is None else b',"stats":' + orjson.dumps(stats)
    notes = _notes(result.warnings, result.infos)
    tail = beside + b"}" + (b"," + orjson.dumps(notes)[1:] if notes else b"}")
    pieces = chain((head,), inside, (tail,))
    return Response(pieces if size(result) >= STREAMED_POINTS else b"".join(pieces), mimetype=JSON)


def size(result: Result) -> int:
    """How many points an answer with ``result`` has, about."""
    match result:
        case Matrix() | Vector():
            return result.values.size
        case RawMatrix():
            return sum(len(one.times) for one in result.series)
        case _:
            return 1


def failure(error: ApiError) -> Response:
    """The envelope around an error."""
    document = {"status": "error", "errorType": error.type, "error": str(error)}
    return Response(orjson.dumps(document), STATUS[error.type], mimetype=JSON)


def of_query_error(error: QueryError) -> ApiError:
    """A query's error as the API names it. What is outside of what Wakeless knows is no mistake of the text's: 422."""
    return ApiError("execution" if error.kind == "unsupported" else error.kind, str(error))


def _notes(warnings: Sequence[str], infos: Sequence[str]) -> dict[str, Any]:
    return {name: list(found) for name, found in (("warnings", warnings), ("infos", infos)) if found}


def _of_result(result: Result, time_ms: int) -> tuple[bytes, Iterator[bytes]]:
    """The result's type and its JSON in pieces."""
    match result:
        case Scalar():
            return b"scalar", iter([b'[%b,"%b"]' % (_seconds(time_ms), _spelled_out(result.value))])
        case String():
            return b"string", iter([b"[%b,%b]" % (_seconds(time_ms), orjson.dumps(result.value))])
        case Matrix():
            return b"matrix", _listed(_matrix(result))
        case RawMatrix():
            return b"matrix", _listed(_raw_matrix(result))
        case _:
            return b"vector", _listed(_vector(result, time_ms))


def _listed(items: Iterator[bytes]) -> Iterator[bytes]:
    """A JSON list of ``items``, one piece each."""
    begin = b"["
    for item in items:
        yield begin + item
        begin = b","
    yield b"]" if begin == b"," else b"[]"


def _vector(vector: Vector, time_ms: int) -> Iterator[bytes]:
    now = time_as_text(time_ms)
    for labels, value in zip(vector.labels, values_as_text(vector.values), strict=True):
        yield b'{"metric":%b,"value":[%b,"%b"]}' % (_metric(labels), now, value)


def _matrix(matrix: Matrix) -> Iterator[bytes]:
    everywhere = leads(times_as_text(matrix.times))
    for labels, values, present in zip(matrix.labels, matrix.values, matrix.present, strict=True):
        if present.all():
            yield _series(labels, everywhere, values_as_text(values))
        else:
            yield _series(labels, list(compress(everywhere, present.tolist())), values_as_text(values[present]))


def _raw_matrix(matrix: RawMatrix) -> Iterator[bytes]:
    known: Times | None = None
    before: list[bytes] = []
    for series in matrix.series:
        if not len(series.times):
            continue
        if series.times is not known:  # series of one source share one array
            known, before = series.times, leads(times_as_text(series.times))
        yield _series(series.labels, before, values_as_text(series.values))


def _series(labels: Labels, before: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    return b'{"metric":%b,"values":%b}' % (_metric(labels), points(before, values))


def _metric(labels: Labels) -> bytes:
    return orjson.dumps(dict(labels))


def _seconds(time_ms: int) -> bytes:
    """A moment beside a scalar or a string: without the zeros at the end that points have there."""
    text = time_as_text(time_ms)
    return text.rstrip(b"0") if b"." in text else text


def _spelled_out(value: float) -> bytes:
    """A scalar's value: never with an exponent, unlike a point's."""
    text = value_as_text(value)
    return format(Decimal(text.decode()), "f").encode() if b"e" in text else text


def exponential(value: float | None) -> str:
    """The value's shortest digits with an exponent of two digits or more: how alerts carry values."""
    if value is None or not math.isfinite(value):
        return value_as_text(math.nan if value is None else value).decode()
    digits = Decimal(repr(value)).normalize()
    mantissa, _, exponent = f"{digits:e}".partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:]:0>2}"


def rfc3339(time_ms: int | None) -> str:
    """A moment in UTC; Go's zero time if there was none."""
    if time_ms is None:
        return "0001-01-01T00:00:00Z"
    return iso(time_ms)

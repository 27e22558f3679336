"""The Prometheus API's outer form: ``{status, data}`` or ``{status, errorType, error}``, numbers as Go writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal

import orjson
from flask import Response

from collectors.sample import Labels
from dashboard.moment import iso
from promql import Matrix, QueryError, RawMatrix, Result, Scalar, String

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


class ApiError(Exception):
    """An error of the Prometheus API on its way out."""

    def __init__(self, type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.type: ErrorType = type


def success(data: Any, warnings: Sequence[str] = ()) -> Response:
    """The envelope around a result."""
    document = {"status": "success", "data": data}
    if warnings:
        document["warnings"] = list(warnings)
    return Response(orjson.dumps(document), mimetype="application/json")


def failure(error: ApiError) -> Response:
    """The envelope around an error."""
    document = {"status": "error", "errorType": error.type, "error": str(error)}
    return Response(orjson.dumps(document), STATUS[error.type], mimetype="application/json")


def of_query_error(error: QueryError) -> ApiError:
    """A query's error as the API names it; what is refused by name is the text's fault, as in Prometheus."""
    return ApiError("bad_data" if error.kind == "unsupported" else error.kind, str(error))


def of_result(result: Result, time_ms: int) -> dict[str, Any]:
    """``{resultType, result}`` of an instant query at ``time_ms`` or of a range query."""
    match result:
        case Scalar(value):
            return {"resultType": "scalar", "result": [timestamp(time_ms), number(value)]}
        case String(text):
            return {"resultType": "string", "result": [timestamp(time_ms), text]}
        case Matrix():
            return {"resultType": "matrix", "result": _matrix(result)}
        case RawMatrix(series):
            rows = [(one.labels, one.times.tolist(), one.values.tolist()) for one in series]
            return {"resultType": "matrix", "result": [_row(*row) for row in rows]}
        case vector:
            now = timestamp(time_ms)
            pairs = zip(vector.labels, vector.values.tolist(), strict=True)
            found = [{"metric": dict(labels), "value": [now, number(value)]} for labels, value in pairs]
            return {"resultType": "vector", "result": found}


def _matrix(matrix: Matrix) -> list[dict[str, Any]]:
    rows = []
    for labels, values, present in zip(matrix.labels, matrix.values, matrix.present, strict=True):
        rows.append(_row(labels, matrix.times[present].tolist(), values[present].tolist()))
    return rows


def _row(labels: Labels, times: Iterable[int], values: Iterable[float]) -> dict[str, Any]:
    points = [[timestamp(time_ms), number(value)] for time_ms, value in zip(times, values, strict=True)]
    return {"metric": dict(labels), "values": points}


def timestamp(time_ms: int) -> float | int:
    """Seconds since 1970 with millisecond precision; whole ones without a point."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def number(value: float) -> str:
    """The shortest text that reads back as ``value``, without an exponent from 1e-6 up to 1e21 (Go's choice)."""
    if not math.isfinite(value):
        return _not_finite(value)
    text = repr(value)
    if "e" in text and 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def exponential(value: float | None) -> str:
    """As :func:`number`, but always with an exponent of two digits or more: how alerts carry values."""
    if value is None or not math.isfinite(value):
        return _not_finite(math.nan if value is None else value)
    digits = Decimal(repr(value)).normalize()
    mantissa, _, exponent = f"{digits:e}".partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:]:0>2}"


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def rfc3339(time_ms: int | None) -> str:
    """A moment in UTC; Go's zero time if there was none."""
    if time_ms is None:
        return "0001-01-01T00:00:00Z"
    return iso(time_ms)

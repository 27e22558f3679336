"""What OpenTelemetry's metrics and attributes are called here: as Prometheus translates them, with suffixes."""

from __future__ import annotations

import re
from decimal import Decimal

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}


def metric_name(name: str, unit: str, *, monotonic: bool = False, gauge: bool = False) -> str:
    """``http.server.duration`` in ``ms`` → ``http_server_duration_milliseconds``; counters end in ``_total``."""
    tokens = [token for token in re.split(r"[^a-zA-Z0-9:]+", name) if token]
    main, _, per = unit.partition("/")
    if (word := _unit(main, _UNITS)) and word not in tokens:
        tokens.append(word)
    if (word := _unit(per, _PER_UNITS)) and word not in tokens:
        tokens += ["per", word]
    if monotonic:
        tokens = [token for token in tokens if token != "total"] + ["total"]
    if gauge and unit == "1":
        tokens = [token for token in tokens if token != "ratio"] + ["ratio"]
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def label_name(key: str) -> str:
    """``http.route`` → ``http_route``; an empty one stays empty."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
    if name[:1].isdigit():
        return f"key_{name}"
    return f"key{name}" if name.startswith("_") and not name.startswith("__") else name


def text_of(value: AnyValue) -> str:
    """An attribute's value as a label has it; lists and maps as JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        return bound_text(value.double_value)
    return "" if kind is None else _json_text(value)


def bound_text(bound: float) -> str:
    """A number as the labels ``le`` and ``quantile`` have it: 5, 0.005, +Inf."""
    if bound in (float("inf"), float("-inf")):
        return "+Inf" if bound > 0 else "-Inf"
    return format(Decimal(repr(bound)), "f").removesuffix(".0")


def _unit(text: str, words: dict[str, str]) -> str:
    """The word for a unit; none for what stands in braces, which is a remark."""
    text = text.strip()
    if not text or "{" in text or "}" in text:
        return ""
    return re.sub(r"[^a-zA-Z0-9]+", "_", words.get(text, text)).strip("_")


def _json_text(value: AnyValue) -> str:
    import orjson

    return orjson.dumps(_plain(value)).decode()


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else None

"""What a template computes with: its values, their truth, and how each is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from alerts.humanize import shortest

#: What a template computes with: text, numbers, truth, label sets, nothing, and the context that ``.`` begins as.
Value: TypeAlias = Any


class Element(NamedTuple):
    """One element of what a template's own query found."""

    labels: Mapping[str, str]
    value: float


class TemplateError(Exception):
    """A template that cannot be read or expanded; the message says what is wrong with it."""


def is_true(value: Value) -> bool:
    """Go's truth: the zero of every kind is false; NaN is not zero."""
    return bool(value)


def show(value: Value) -> str:
    """A value as a template writes it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{value[name]}' for name in sorted(value))}]"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, complex):
        return f"({shortest(value.real)}{shortest(value.imag) if value.imag < 0 else '+' + shortest(value.imag)}i)"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(show, value))}]"
    if isinstance(value, Element):
        return f"{{{show(value.labels)} {show(value.value)}}}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} +0000 UTC"
    raise TemplateError("'.' has no text; name one of its fields")


def as_number(value: Value) -> float:
    """A number, or a text that is one. Raises :class:`TemplateError`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TemplateError(f"{show(value)!r} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise TemplateError(f"{value!r} is not a number") from error

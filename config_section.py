"""What every section of the settings is made of: it takes no key that it does not know, and it does not change."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")


class Section(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def _seconds(value: object) -> object:
    """Lengths of time as Prometheus writes them (``1h30m``), or a number of seconds."""
    if not isinstance(value, str) or re.fullmatch(r"\d+(\.\d+)?", value):
        return value
    if re.fullmatch(rf"(?:{_LENGTH.pattern})+", value) is None:
        raise ValueError("a length of time, such as 5s, 2m or 1h30m")
    return sum(float(count) * _UNITS[unit] for count, unit in _LENGTH.findall(value))


#: Seconds; written as a number or as ``5s``, ``2m``, ``1h30m``.
Seconds = Annotated[float, BeforeValidator(_seconds)]

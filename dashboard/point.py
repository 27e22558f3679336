"""Points as the Prometheus API writes them, ``[seconds,"value"]``, many at once and without a Python object for each.

orjson turns a whole array into the shortest digits that read back as the same numbers, which are Go's digits too. What
Go writes otherwise (no ``.0``, no exponent for numbers of middling size) is changed in the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import orjson

from collectors.sample import Times, Values

#: What ends a point before the next one.
_END = b'"],'
_ARRAY = orjson.OPT_SERIALIZE_NUMPY
_NOT_FINITE = {"nan": b"NaN", "inf": b"+Inf", "-inf": b"-Inf"}


def values_as_text(values: Values) -> list[bytes]:
    """Each value in Go's shortest digits; with an exponent below 1e-6 and from 1e21 on."""
    if not len(values):
        return []
    text = orjson.dumps(np.ascontiguousarray(values, dtype=np.float64), option=_ARRAY)[1:-1]
    found = text.replace(b".0,", b",").removesuffix(b".0").split(b",")
    if b"e" in text:
        _change_exponents(found, values)
    if b"n" in text:  # null: JSON has no other word for what is not finite
        for position in np.flatnonzero(~np.isfinite(values)).tolist():
            found[position] = _NOT_FINITE[repr(float(values[position]))]
    return found


def value_as_text(value: float) -> bytes:
    """One value, as :func:`values_as_text` writes it."""
    if not math.isfinite(value):
        return _NOT_FINITE[repr(value)]
    text = repr(value).encode()
    return _plain(text).removesuffix(b".0")


def times_as_text(times: Times) -> list[bytes]:
    """Each of the UTC milliseconds as seconds: whole, or with three decimals."""
    if not len(times):
        return []
    seconds = orjson.dumps(np.ascontiguousarray(times // 1000), option=_ARRAY)[1:-1].split(b",")
    rest = times % 1000
    if not rest.any():
        return seconds
    if int(times[0]) < 0:  # there the decimals count the other way; times ascend
        return [time_as_text(time_ms) for time_ms in times.tolist()]
    return [b"%b.%03d" % (one, ms) if ms else one for one, ms in zip(seconds, rest.tolist(), strict=True)]


def time_as_text(time_ms: int) -> bytes:
    """One moment, as :func:`times_as_text` writes it."""
    seconds, ms = divmod(abs(time_ms), 1000)
    sign = b"-" if time_ms < 0 else b""
    return b"%b%d.%03d" % (sign, seconds, ms) if ms else b"%b%d" % (sign, seconds)


def leads(times: Sequence[bytes]) -> list[bytes]:
    """What stands before each value of a series at ``times``: the end of the point before, and this one's time."""
    return [b'"],[%b,"' % one for one in times]


def points(before: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    """The JSON list of the points whose values are ``values`` (one at least), each after its part of ``before``."""
    pieces = [b""] * (2 * len(values) + 1)
    pieces[0:-1:2] = before
    pieces[1::2] = values
    pieces[0] = before[0].replace(_END, b"[")
    pieces[-1] = b'"]]'
    return b"".join(pieces)


def _change_exponents(texts: list[bytes], values: Values) -> None:
    """Write in place as Go does what orjson writes with an exponent: below 1e-5, and from 1e16 on."""
    sizes = np.abs(values)
    for position in np.flatnonzero((sizes >= 1e-6) & (sizes < 1e-5)).tolist():
        texts[position] = _micro(texts[position])
    for position in np.flatnonzero(((sizes < 1e-6) & (sizes >= 1e-9)) | ((sizes >= 1e16) & (sizes < 1e21))).tolist():
        texts[position] = _plain(texts[position])


def _micro(text: bytes) -> bytes:
    """``5.3e-6`` spelled out; a text without an exponent as it is."""
    if not text.endswith(b"e-6"):
        return text
    digits = text[:-3].replace(b".", b"")
    return b"-0.00000" + digits[1:] if digits.startswith(b"-") else b"0.00000" + digits


def _plain(text: bytes) -> bytes:
    """Digits with an exponent as Go writes them: spelled out from 1e-6 up to 1e21, else with two digits or more."""
    mantissa, mark, power_text = text.partition(b"e")
    if not mark:
        return text
    power = int(power_text)
    if not -7 < power < 21:
        return b"%be%b%02d" % (mantissa, b"-" if power < 0 else b"+", abs(power))
    sign = b"-" if mantissa.startswith(b"-") else b""
    whole, _, decimals = mantissa.removeprefix(b"-").partition(b".")
    if power < 0:
        return sign + b"0." + b"0" * (-power - 1) + whole + decimals
    if power >= len(decimals):
        return sign + whole + decimals + b"0" * (power - len(decimals))
    return sign + whole + decimals[:power] + b"." + decimals[power:]

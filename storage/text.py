"""Numbers and times as text, many at once.

Each value is the shortest text that reads back as the same number; ``NaN``, ``+Inf`` and ``-Inf`` as in Prometheus,
integers without ``.0``. Times are UTC milliseconds.
"""

from __future__ import annotations

import numpy as np
import orjson
from numpy.typing import NDArray

from collectors.sample import Times, Values

DAY_MS = 86_400_000
#: ``2026-11-21T08:00:00.000Z``
_ISO = np.frombuffer(b"0000-00-00T00:00:00.000Z", dtype=np.uint8)
_ZERO = ord("0")
#: Stands for a number that JSON has no text for, and is none that is written: the first of these that is not there.
_STAND_INS = [-1.2345678901234e-290 * (place + 1) for place in range(64)]


def value_texts(values: Values) -> list[bytes]:
    """The text of each value."""
    return _rows(values.reshape(1, -1))[0].split(b",") if len(values) else []


def row_texts(values: Values, missing: NDArray[np.bool_] | None = None) -> list[bytes]:
    """The rows of ``values`` (rows, columns), commas between; nothing where ``missing`` (same shape) holds."""
    return _rows(values, missing) if values.size else []


def iso_texts(times: Times) -> list[bytes]:
    """ISO 8601 in UTC with milliseconds."""
    days, rest = np.divmod(times, DAY_MS)
    text = np.tile(_ISO, (len(times), 1))
    distinct, places = np.unique(days, return_inverse=True)
    dates = np.datetime_as_string(distinct.astype("datetime64[D]")).astype("S10")
    text[:, :10] = dates.view(np.uint8).reshape(-1, 10)[places]
    for first, width, unit, base in ((11, 2, 3_600_000, 24), (14, 2, 60_000, 60), (17, 2, 1000, 60), (20, 3, 1, 1000)):
        _put_digits(text[:, first : first + width], rest // unit % base)
    return _lines(text)


def second_texts(times: Times) -> list[bytes]:
    """Seconds since 1970 with milliseconds, as OpenMetrics has them: ``1700000000.123``."""
    seconds, milliseconds = np.divmod(times, 1000)
    width = len(str(int(seconds.max(initial=0))))
    if len(times) and len(str(int(seconds.min()))) != width:  # before September 2001 they were shorter
        return [b"%d.%03d" % pair for pair in zip(seconds.tolist(), milliseconds.tolist(), strict=True)]
    text = np.full((len(times), width + 4), ord("."), dtype=np.uint8)
    _put_digits(text[:, :width], seconds)
    _put_digits(text[:, width + 1 :], milliseconds)
    return _lines(text)


def _put_digits(text: NDArray[np.uint8], numbers: Times) -> None:
    for place in range(text.shape[1] - 1, -1, -1):
        numbers, digit = np.divmod(numbers, 10)
        text[:, place] = digit + _ZERO


def _lines(text: NDArray[np.uint8]) -> list[bytes]:
    """The rows of a matrix of characters."""
    lines: list[bytes] = np.ascontiguousarray(text).view(f"S{text.shape[1]}").ravel().tolist()
    return lines


def _rows(values: Values, missing: NDArray[np.bool_] | None = None) -> list[bytes]:
    """A JSON writer makes the text, since it makes that of all numbers at once."""
    odd = ~np.isfinite(values)
    if missing is not None:
        odd &= ~missing
    stand_ins: list[tuple[bytes, bytes]] = []
    if odd.any():
        values = values.copy()
        free = iter(number for number in _STAND_INS if not (values == number).any())
        for text, place in ((b"NaN", np.isnan(values)), (b"+Inf", values == np.inf), (b"-Inf", values == -np.inf)):
            number = next(free)
            values[place & odd] = number
            stand_ins.append((orjson.dumps(number), text))
    if missing is not None:
        values = np.where(missing, np.nan, values)
    body = orjson.dumps(np.ascontiguousarray(values, dtype=np.float64), option=orjson.OPT_SERIALIZE_NUMPY)
    body = body.replace(b".0,", b",").replace(b".0]", b"]")
    if missing is not None:
        body = body.replace(b"null", b"")
    for stand_in, text in stand_ins:
        body = body.replace(stand_in, text)
    return body[2:-2].split(b"],[")

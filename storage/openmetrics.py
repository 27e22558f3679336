"""Reading OpenMetrics text with timestamps in bulk: what ``promtool tsdb dump-openmetrics`` writes.

A dump lists one series after the other, so that nearly every line repeats the series of the line before. Of such a run
the series is parsed once, and the numbers are left to a JSON parser, which is exact and makes all of a page at once.
Lines in any other order cost more each; lines that are out of the ordinary are read one by one, which also finds the
line that an error is on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import orjson

from collectors.sample import Labels, Times, Values
from storage.openmetrics_line import LATEST_MS, LineError, is_end, read_time, split_line

#: Read at a time. What is read becomes some ten times as much while it is parsed.
PAGE_BYTES = 1 << 20
#: No line is longer: a file that has no lines must not fill the memory.
LONGEST_LINE = 1 << 20
#: Of a run, the first lines are looked at as a window of this many bytes; each following window is twice as long.
_FIRST_WINDOW = 1 << 12
#: From this length on a window is worth compiling its series to a regular expression, which finds it twice as fast.
_LONG_WINDOW = 1 << 14
#: Series remembered by their text.
_REMEMBERED = 100_000
#: Between the numbers of two lines, once they are JSON: whatever else a line holds, it moves this out of its place.
_BETWEEN = b',"",'
#: What no list of plain numbers holds. The first letters of true, false and null, which are JSON, too.
_FOREIGN = (b"[", b"{", b"t", b"f", b"n", b"-0,")


class OpenMetricsError(ValueError):
    """A line that cannot be read; the message names it and says what is wrong with it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class Column(NamedTuple):
    """Samples of one series in the order of the file; ``labels`` includes ``__name__``; both arrays have length n."""

    labels: Labels
    times: Times
    values: Values


class _Tails:
    """What stands behind a series on the lines of a page, ``value timestamp``, joined by ``_BETWEEN``."""

    __slots__ = ("count", "labels", "texts")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.texts: list[bytes] = []
        self.count = 0


class OpenMetricsReader:
    """Reads one file, page by page. ``default_ms`` is the time of samples without one; without it they are an error."""

    def __init__(self, stream: BinaryIO, default_ms: int | None = None) -> None:
        self._stream = stream
        self._default = None if default_ms is None else f"{default_ms // 1000}.{default_ms % 1000:03d}"
        self._by_text: dict[bytes, _Tails] = {}
        self._by_labels: dict[Labels, _Tails] = {}
        self._touched: list[_Tails] = []
        self._lines_before = 0
        self.complete = False  #: whether ``# EOF`` has been read

    def pages(self) -> Iterator[list[Column]]:
        """The samples of one stretch of the file after the other, each series once in it.

        Raises :class:`OpenMetricsError` for a line that cannot be read; nothing of its page has been given then.
        """
        for page in self._read():
            complete = self.complete
            try:
                columns = self._parse(page)
            except (LineError, UnicodeDecodeError, _Odd):
                self.complete = complete
                columns = self._parse_slowly(page)
            self._lines_before += page.count(b"\n")
            if len(self._by_text) > _REMEMBERED:
                self._by_text.clear()
                self._by_labels.clear()
            if columns:
                yield columns

    def _read(self) -> Iterator[bytes]:
        """The file in pieces of whole lines, each line with ``\\n`` at its end."""
        rest = b""
        while chunk := self._stream.read(PAGE_BYTES):
            text = rest + chunk
            end = text.rfind(b"\n") + 1
            page, rest = text[:end], text[end:]
            if len(rest) > LONGEST_LINE:
                raise OpenMetricsError(self._lines_before + page.count(b"\n") + 1, "is longer than a megabyte")
            if page:
                yield page.replace(b"\r\n", b"\n") if b"\r" in page else page
        if rest.strip() and not is_end(rest.decode(errors="replace")):
            raise OpenMetricsError(self._lines_before + 1, "ends in its middle: the file has been cut short")
        if rest:
            yield rest + b"\n"

    def _parse(self, page: bytes) -> list[Column]:
        """The quick way. Raises :class:`_Odd`, or the error of a line without its number, when it is not enough."""
        end = page.find(b"# EOF")
        if self.complete or (end >= 0 and page[end:].strip() != b"# EOF"):
            raise _Odd
        position = 0
        while position < len(page):
            end = page.index(b"\n", position)
            line = page[position:end]
            series, _, _ = line.rpartition(b" ")[0].rpartition(b" ")
            tails = self._by_text.get(series)
            if tails is None:
                self._take_line(line)
                position = end + 1
            elif page.startswith(series + b" ", end + 1):
                position = self._take_run(page, position, series, tails)
            else:
                position = self._take_lines(page, position)
        return self._columns()

    def _parse_slowly(self, page: bytes) -> list[Column]:
        """Line by line, each by the grammar."""
        self._forget_tails()
        for number, line in enumerate(page.split(b"\n")[:-1], self._lines_before + 1):
            try:
                self._take_line(line)
            except UnicodeDecodeError:
                raise OpenMetricsError(number, "is not UTF-8") from None
            except LineError as error:
                raise OpenMetricsError(number, str(error)) from None
        return self._columns()

    def _take_run(self, page: bytes, position: int, series: bytes, tails: _Tails) -> int:
        """The lines from ``position`` on that begin with this series; returns the position behind them."""
        again = b"\n" + series + b" "
        size = _FIRST_WINDOW
        while page.startswith(series, position):
            end = page.rfind(b"\n", position, position + size)
            if end < 0:
                end = page.index(b"\n", position)
            window = page[position + len(again) - 1 : end]
            parts = window.split(again) if size < _LONG_WINDOW else re.split(re.escape(again), window)
            text = _BETWEEN.join(parts)
            if b"\n" in text:  # the run ends in this window
                text = text[: text.index(b"\n")]
                count = text.count(_BETWEEN) + 1
                self._add(tails, text, count)
                return position + len(text) + (len(again) - len(_BETWEEN)) * (count - 1) + len(again)
            self._add(tails, text, len(parts))
            position = end + 1
            if not page.startswith(series + b" ", position):
                break
            size *= 2
        return position

    def _take_lines(self, page: bytes, position: int) -> int:
        """A few lines of any series; returns the position behind them."""
        end = page.rfind(b"\n", position, position + _FIRST_WINDOW)
        if end < 0:
            end = page.index(b"\n", position)
        known = self._by_text
        for line in page[position:end].split(b"\n"):
            series = line.rpartition(b" ")[0].rpartition(b" ")[0]
            tails = known.get(series)
            if tails is None:
                self._take_line(line)
            else:
                self._add(tails, line[len(series) + 1 :], 1)
        return end + 1

    def _take_line(self, packed: bytes) -> None:
        """One line by the grammar. Raises :class:`LineError` or ``UnicodeDecodeError``."""
        line = packed.decode()
        if not line.strip():
            return
        if self.complete:
            raise LineError("there is text behind # EOF")
        if line.startswith("#"):
            self.complete = is_end(line)
            return
        text, labels, (value, timestamp) = split_line(line)
        timestamp = timestamp or self._default
        if timestamp is None:
            raise LineError("the timestamp is missing")
        read_time(timestamp)
        tails = self._by_labels.get(labels)
        if tails is None:
            tails = self._by_labels[labels] = _Tails(labels)
        self._by_text[text.encode()] = tails
        self._add(tails, f"{value} {timestamp}".encode(), 1)

    def _add(self, tails: _Tails, text: bytes, count: int) -> None:
        if not tails.count:
            self._touched.append(tails)
        tails.texts.append(text)
        tails.count += count

    def _columns(self) -> list[Column]:
        """Parse the numbers of the page. Raises :class:`_Odd` when they are not a value and a timestamp each."""
        columns = [_column(tails) for tails in self._touched]
        self._forget_tails()
        return columns

    def _forget_tails(self) -> None:
        for tails in self._touched:
            tails.texts, tails.count = [], 0
        self._touched = []


class _Odd(Exception):
    """Some line of a page has to be read by the grammar."""


def _column(tails: _Tails) -> Column:
    text = _BETWEEN.join(tails.texts).replace(b" ", b",")
    try:
        values, seconds = _parse_json(text, tails.count)
    except ValueError:
        values, seconds = _parse_floats(text, tails.count)
    with np.errstate(over="ignore"):
        moments = np.rint(seconds * 1000)
    if not ((moments >= 0) & (moments <= LATEST_MS)).all():  # NaN is not, either
        raise _Odd
    return Column(tails.labels, moments.astype(np.int64), values)


def _parse_json(text: bytes, count: int) -> tuple[Values, Values]:
    """Values and timestamps of ``count`` lines, exactly rounded. Raises ``ValueError`` for what is not plain JSON."""
    if any(mark in text for mark in _FOREIGN):  # JSON reads -0 as the integer 0
        raise ValueError
    numbers = orjson.loads(b"[" + text + b"]")
    if len(numbers) != 3 * count - 1 or numbers[2::3].count("") != count - 1 or text.count(b'"') != 2 * (count - 1):
        raise ValueError
    return np.array(numbers[0::3], dtype=np.float64), np.array(numbers[1::3], dtype=np.float64)


def _parse_floats(text: bytes, count: int) -> tuple[Values, Values]:
    """The same one by one, for what JSON does not know: NaN, Inf, +1. Raises :class:`_Odd`."""
    parts = text.split(b",")
    if len(parts) != 3 * count - 1 or parts[2::3].count(b'""') != count - 1 or b"_" in text:
        raise _Odd
    try:
        return np.array([*map(float, parts[0::3])]), np.array([*map(float, parts[1::3])])
    except ValueError:
        raise _Odd from None

"""Reading what a target exposes: Prometheus' text format 0.0.4, and OpenMetrics 1.0 text.

A target writes the same series in the same words at each scrape. So each line is cut into series, value and timestamp,
and a :class:`Reader` remembers what a series' text means; only a text that is new goes through the grammar
(:mod:`storage.openmetrics_line`), which is exact and slow. What cannot be read fails the scrape as a whole: half of a
target's series would look like an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from collectors.sample import Labels
from storage.openmetrics_line import LATEST_MS, LineError, read_numbers, split_line

#: No series with its labels takes more; a file without lines must not keep the grammar busy.
LONGEST_LINE = 64 * 1024
#: Numbers as the formats have them, without Inf and NaN: what Python reads besides (1_000, digits of India) is none.
_PLAIN = re.compile(r"[0-9eE+.-]+(?:,[0-9eE+.-]+)*")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.I)

Meaning = TypeVar("Meaning")


class ExpositionError(ValueError):
    """Why an exposition is refused, in words that follow the target's name."""


class Scraped(NamedTuple, Generic[Meaning]):
    """The samples in their order; the lists have the same length. ``times`` are UTC ms, None where none was given.

    ``changed`` says that these are not the series of the exposition before.
    """

    meanings: list[Meaning]
    values: list[float]
    times: list[int | None]
    changed: bool


class Reader(Generic[Meaning]):
    """Reads one target's expositions. ``mean`` says what a series' labels (with ``__name__``) become; asked once each.

    Not safe for threads.
    """

    def __init__(self, mean: Callable[[Labels], Meaning]) -> None:
        self._mean = mean
        self._known: dict[str, Meaning] = {}

    @property
    def remembered(self) -> int:
        """Texts whose meaning is known: those of the last exposition."""
        return len(self._known)

    def forget(self) -> None:
        """Remember nothing of the expositions before."""
        self._known = {}

    def read(self, body: bytes, *, openmetrics: bool = False) -> Scraped[Meaning]:
        """All samples. Raises :class:`ExpositionError`, and whatever ``mean`` raises."""
        lines = _lines(body)
        if openmetrics:
            _check_end(lines)
        texts: list[str] = []
        numbers: list[str] = []
        stamps: dict[int, str] = {}
        fresh: dict[str, Meaning] = {}
        known = self._known
        for number, line in enumerate(lines, 1):
            text, _, value = line.rpartition(" ")
            if text not in known:
                begin = line.lstrip()
                if not begin or begin[0] == "#":
                    continue
                text, value, stamp = self._take(line, number, fresh)
                if stamp is not None:
                    stamps[len(texts)] = stamp
            texts.append(text)
            numbers.append(value)
        if len(set(texts)) < len(texts):
            raise ExpositionError(f"the series {_doubled(texts)[:200]} is there twice")
        values = _floats(numbers)
        times: list[int | None] = [None] * len(texts)
        for place, stamp in stamps.items():
            times[place] = _time_ms(stamp, openmetrics=openmetrics)
        every = {**known, **fresh} if fresh else known
        meanings = [every[text] for text in texts]
        changed = bool(fresh) or len(texts) != len(known)
        if changed:
            self._known = dict(zip(texts, meanings, strict=True))
        return Scraped(meanings, values, times, changed)

    def _take(self, line: str, number: int, fresh: dict[str, Meaning]) -> tuple[str, str, str | None]:
        """A line that is more than a known series and a value: the series' text, the value and the timestamp."""
        try:
            found = self._cut(line, fresh)
            if found is not None:
                return found
            if len(line) > LONGEST_LINE:
                raise LineError(f"longer than {LONGEST_LINE} characters")
            text, labels, (value, stamp) = split_line(_tidy(line))
        except LineError as error:
            raise ExpositionError(f"line {number}: {error}") from None
        if text not in self._known and text not in fresh:
            fresh[text] = self._mean(labels)
        return text, value, stamp

    def _cut(self, line: str, fresh: dict[str, Meaning]) -> tuple[str, str, str | None] | None:
        """The same for a series that is known and stands with a timestamp, or an exemplar; None for any other."""
        before = line.rpartition(" # {")[0] or line
        once = before.rpartition(" ")[0]
        for text in (once, once.rpartition(" ")[0]):
            if text and (text in self._known or text in fresh):
                value, stamp = read_numbers(before[len(text) :])
                return text, value, stamp
        return None


def is_openmetrics(content_type: str) -> bool:
    """Whether the header ``Content-Type`` names OpenMetrics; Prometheus' text format otherwise."""
    return content_type.partition(";")[0].strip().lower() == "application/openmetrics-text"


def _lines(body: bytes) -> list[str]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise ExpositionError(f"line {line}: it is not UTF-8") from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise ExpositionError(f"line {line}: it holds a NUL: no text")
    return (text.replace("\r\n", "\n") if "\r\n" in text else text).split("\n")


def _check_end(lines: list[str]) -> None:
    """OpenMetrics says where it ends, so that an answer that was cut short is told from a whole one."""
    last = len(lines)
    while last and not lines[last - 1]:
        last -= 1
    if not last or lines[last - 1] != "# EOF":
        raise ExpositionError("it does not end with # EOF: it has been cut short")
    if "# EOF" in lines[: last - 1]:
        raise ExpositionError("there is text behind # EOF")


def _doubled(texts: list[str]) -> str:
    seen: set[str] = set()
    return next(text for text in texts if text in seen or seen.add(text))  # type: ignore[func-returns-value]


def _tidy(line: str) -> str:
    """The line as the grammar has it: a tab parts as a blank does, and none comes first or before the braces."""
    line = line.strip(" \t")
    name, brace, rest = line.partition("{")
    if brace and name[-1:] in (" ", "\t") and len(name.split()) == 1:
        return name.strip() + brace + rest
    return line


def _floats(texts: list[str]) -> list[float]:
    """The numbers; all at once if they are plain. Raises :class:`ExpositionError` for one that is none."""
    if texts and _PLAIN.fullmatch(",".join(texts)) is None:
        return [_float(text) for text in texts]
    try:
        values = [*map(float, texts)]
    except ValueError:
        return [_float(text) for text in texts]
    if math.inf in values or -math.inf in values:
        return [_float(text) for text in texts]
    return values


def _float(text: str) -> float:
    try:
        number = read_numbers(text).value
    except LineError as error:
        raise ExpositionError(str(error)) from None
    value = float(number)
    if math.isinf(value) and _INFINITE.fullmatch(number) is None:
        raise ExpositionError(f"the value {number[:60]} is too large for a number of 64 bits")
    return value


def _time_ms(text: str, *, openmetrics: bool) -> int:
    """UTC milliseconds: OpenMetrics counts seconds, the text format whole milliseconds."""
    try:
        time_ms = round(float(text) * 1000) if openmetrics else int(text)
    except (ValueError, OverflowError):
        raise ExpositionError(f"the timestamp {text[:60]} is not one") from None
    if not 0 <= time_ms <= LATEST_MS:
        raise ExpositionError(f"the timestamp {text[:60]} is outside 1970 to 2248")
    return time_ms

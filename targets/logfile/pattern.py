"""One pattern of a log, ready to look for: in a line, and in a block of lines where it may not be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import re2

from config_target import LogPattern

#: Bytes that RE2 may take for one expression. What needs more is refused, with the reason.
MAX_MEMORY = 2 * 1024 * 1024
MAX_TITLE = 200
#: What would make an expression find less in many lines at once than in each of them.
_WHOLE_TEXT = re.compile(r"\\[Az]|\(\?[A-Za-z]*-")


class PatternError(ValueError):
    """A pattern that cannot be looked for; the message says why, for the person who wrote it."""


def compile_regex(text: str, *, ignore_case: bool = False, captures: bool = False) -> Any:
    """An RE2 expression. Raises :class:`PatternError`."""
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    options.never_capture = not captures
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error.args[0])
        if "too large" in reason:
            reason = "it is too large; repeat less"
        raise PatternError(f"the regular expression {text[:100]!r} is not valid: {reason}") from error


class Found(NamedTuple):
    """Where an entry matched: the offset in its bytes, and the groups that the pattern's metric needs."""

    start: int
    groups: Mapping[str, str]


class Pattern:
    """A pattern of the settings or of a profile. Texts are given as UTF-8, so that none is encoded twice."""

    def __init__(self, settings: LogPattern, *, advice_zh: str | None = None) -> None:
        self.settings = settings
        self.advice_zh = advice_zh
        self._needle: bytes | None = None
        self._regex: Any = None
        self._anywhere: Any = None
        expression = settings.regex if settings.regex is not None else re2.escape(settings.match or "")
        if settings.regex is None and not settings.ignore_case:
            self._needle = (settings.match or "").encode()
        else:
            fold = settings.ignore_case
            self._regex = compile_regex(expression, ignore_case=fold, captures=settings.metric is not None)
            if not _WHOLE_TEXT.search(expression):
                self._anywhere = compile_regex(f"(?m){expression}", ignore_case=fold)
        self._unless = None if settings.unless is None else compile_regex(settings.unless)
        #: The groups of the expression, by name and by number.
        self.groups = _groups(self._regex)
        metric = settings.metric
        needed = () if metric is None else (metric.value, *metric.labels.values())
        self._needed = {name: self.groups[name] for name in needed if name in self.groups}

    @property
    def title(self) -> str:
        """What it is called: the label ``pattern`` of its series."""
        return self.settings.title[:MAX_TITLE]

    def search(self, text: bytes) -> Found | None:
        """The first place in one entry in which it is found; None where it is not."""
        if self._needle is not None:
            start = text.find(self._needle)
            return None if start < 0 or self._is_excepted(text) else Found(start, {})
        found = self._regex.search(text)
        if found is None or self._is_excepted(text):
            return None
        return Found(found.start(), {name: _decoded(found[place]) for name, place in self._needed.items()})

    def may_be_in(self, block: bytes) -> bool:
        """Whether an entry among these lines could match; False is sure, if the block is plain UTF-8."""
        if self._needle is not None:
            return self._needle in block
        return self._anywhere is None or self._anywhere.search(block) is not None

    def _is_excepted(self, text: bytes) -> bool:
        return self._unless is not None and self._unless.search(text) is not None


def is_plain(block: bytes) -> bool:
    """Whether lines read as they are in the file: no colours, no carriage returns, nothing that is not UTF-8."""
    if b"\x1b" in block or b"\r" in block:
        return False
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _groups(regex: Any) -> dict[str, int]:
    if regex is None:
        return {}
    return {str(place): place for place in range(1, regex.groups + 1)} | dict(regex.groupindex)


def _decoded(value: bytes | None) -> str:
    return "" if value is None else value.decode(errors="replace")

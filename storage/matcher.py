"""Which series do the matchers mean? Semantics of Prometheus: anchored RE2, and a label that is missing is empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import re2

from collectors.sample import Labels, Matcher
from storage.error import StorageError

#: A regular expression may take this much memory when compiled; RE2's own default is 8 MiB.
_MAX_MEMORY = 1 << 20

Test = Callable[[str], bool]


def compile_matcher(matcher: Matcher) -> Test:
    """A test of a label's value. Raises :class:`StorageError` for a regular expression that RE2 does not take."""
    name, op, value = matcher
    if op == "=":
        return value.__eq__
    if op == "!=":
        return value.__ne__
    if op not in ("=~", "!~"):
        raise StorageError(f"unknown matcher {name}{op}: it must be one of = != =~ !~", permanent=True)
    matches = _compile_regex(value)
    return matches if op == "=~" else lambda text: not matches(text)


@lru_cache(maxsize=256)
def _compile_regex(pattern: str) -> Test:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    options.dot_nl = True  # Prometheus compiles with (?s)
    options.never_capture = True
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error.args[0]
        raise StorageError(f"the regular expression {pattern!r} is not valid: {reason}", permanent=True) from error
    return lambda text: compiled.fullmatch(text) is not None


def matches_all(labels: Labels, tests: Sequence[tuple[str, Test]]) -> bool:
    """Whether every test holds for the label set."""
    values = dict(labels)
    return all(test(values.get(name, "")) for name, test in tests)

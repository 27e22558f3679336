"""Regular expressions as PromQL means them: RE2 syntax, ``.`` matches newlines, anchored at both ends by the caller."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from promql.error import QueryError

#: Bytes that one compiled pattern may take. RE2's default of 8 MB lets a 10-character pattern compile for 200 ms.
MAX_PATTERN_MEMORY = 1 << 19
#: Unicode classes (``\pL``) that a pattern may have: RE2 spends 0.1 ms on each before it finds that they are too many.
MAX_CLASSES = 50


@lru_cache(maxsize=128)
def compile_pattern(pattern: str) -> Any:
    """Compile ``pattern``, to be used with ``fullmatch``; raises :class:`QueryError` for a bad or too large one."""
    if pattern.count("\\p") + pattern.count("\\P") > MAX_CLASSES:
        raise QueryError(f"bad regular expression {pattern[:100]!r}: more than {MAX_CLASSES} Unicode classes")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = MAX_PATTERN_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise QueryError(f"bad regular expression {pattern[:100]!r}: {text[:200]}") from None

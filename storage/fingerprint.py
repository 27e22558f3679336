"""What errors of one kind have in common: the text without the numbers, names and places that differ each time."""

from __future__ import annotations

import re
from functools import lru_cache

#: Characters of an error that are looked at, and of a fingerprint.
_READ, LONGEST = 2000, 200

#: What differs between errors of one kind, and the word that stands for it; in this order.
_VARYING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>]+", "<url>"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<id>"),
        (r"(?<!\w)'[^'\n]{1,200}'(?!\w)|\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|`[^`\n]{1,200}`", "<text>"),
        (r"(?<![\w/.~<-])(?:~|\.{1,2})?(?:/[^\s/'\"<>|:;,()\[\]{}]+)+/?|\b[A-Za-z]:\\[^\s'\"<>|:;,]+", "<path>"),
        (r"\b0[xX][0-9a-fA-F]+\b", "<id>"),
        (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])", "<address>"),
        (r"\b(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b", "<id>"),
        (r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}", "<id>"),
        (r"(?<![\w.])[+-]?\d[\d_]*(?:[.,]\d+)*(?:[eE][+-]?\d+)?(?=%|[A-Za-zµ]{0,3}\b|×|\W|$)", "<n>"),
        (r"\d+", "<n>"),
        (r"\s+", " "),
    )
)


@lru_cache(maxsize=1024)
def fingerprint_of(text: str) -> str:
    """What an error has in common with others of its kind, for people to read: ``<n>``, ``<id>``, ``<path>`` … differ.

    Pure: the same text always gives the same. At most :data:`LONGEST` characters; of a traceback its last line.
    """
    found = text[-_READ:] if text.startswith("Traceback ") else text[:_READ]
    if text.startswith("Traceback "):
        found = found.rstrip().rsplit("\n", 1)[-1]
    for pattern, word in _VARYING:
        found = pattern.sub(word, found)
    return found.strip()[:LONGEST]

"""What a line reads like: without colours and control characters, and what lines of one kind have in common."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

from mask import mask

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]?|\][^\x07\x1b]*+(?:\x07|\x1b\\)?|[ -/]*+[0-~]?)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
#: What differs between lines of one kind: quoted values, paths, and words with a digit in them.
_VARIABLE = re.compile(
    r"(?<!\w)(?:\"[^\"\n]{0,300}+\"|'[^'\n]{0,300}+')"
    r"|(?<![\w.])~?(?:/[\w.@+~%-]++)++/?"
    r"|(?<!\w)(?=[\w-]{0,40}?\d)[\w-]++(?:[.:][\w-]++)*+"
)
_BLANKS = re.compile(r"\s+")
#: So much of a line tells its kind.
KIND_CHARS = 600


def plain(text: str) -> str:
    """``text`` without the escape sequences of a terminal: what patterns look at."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def readable(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text`` for people, without control characters; a cut word goes as a whole."""
    text = _CONTROLS.sub(" ", plain(text[: 4 * limit])).strip()
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    head, _, cut = kept.rpartition(" ")
    return (head if head and len(cut) < 200 else kept) + "…"


def told(text: str, limit: int) -> str:
    """``text`` as it may be kept and sent: readable, masked, at most ``limit`` characters.

    It is masked before it is cut to size: of a secret that is cut, what is left may not look like one any more.
    """
    return readable(mask(readable(text, 2 * limit)), limit)


@lru_cache(maxsize=4096)
def fingerprint(line: str) -> str:
    """What this line has in common with others of its kind, as 16 hexadecimal digits."""
    common = _BLANKS.sub(" ", _VARIABLE.sub("#", line[:KIND_CHARS])).strip()
    return sha256(common.encode(errors="replace")).hexdigest()[:16]

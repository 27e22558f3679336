"""The headers with which a caller says how important its request is and how long it waits."""

from __future__ import annotations

import math
import re
from typing import Protocol, cast

from flask import current_app, request

from dashboard.mark import VERSION
from dashboard.peer import LOOKOUT, Lookout, connection_of
from dashboard.problem import Problem
from model.terms import PRIORITIES, Caller, Priority, Terms

PRIORITY = "X-Priority"
#: Headers that hold a time, and how many of their units make a second: ours, Ray Serve's name for the same, and what
#: Envoy tells the servers behind it. The shortest counts.
TIMEOUTS = {"X-Request-Timeout": 1.0, "X-Request-Timeout-Seconds": 1.0, "X-Envoy-Expected-Rq-Timeout-Ms": 1000.0}

#: What keeps a caller on the same version, where there are two.
STICKY_KEY = "X-Sticky-Key"
_MAX_WORD = 200

#: Plain decimals: ``float`` would also take ``nan``, ``inf``, ``1_0`` and digits of other scripts.
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Fields(Protocol):
    """A request's headers, whatever the case of their names."""

    def get(self, name: str, /) -> str | None: ...


def current_terms() -> Terms:
    """Those of the request at hand. Raises :class:`Problem` 400 for a header that says nothing."""
    return read_terms(request.headers, connection_of(request.environ, cast(Lookout, current_app.extensions[LOOKOUT])))


def read_terms(headers: Fields, caller: Caller | None) -> Terms:
    """What a request asks for beside its input. Raises :class:`Problem` 400 for a header that says nothing."""
    return Terms(_priority(headers), _timeout(headers), caller, _word(headers, VERSION), _word(headers, STICKY_KEY))


def _priority(headers: Fields) -> Priority:
    given = headers.get(PRIORITY)
    if given is None:
        return "normal"
    found = given.strip().lower()
    if found not in PRIORITIES:
        raise _bad(PRIORITY, f"one of {', '.join(PRIORITIES)}")
    return found


def _timeout(headers: Fields) -> float | None:
    shortest = math.inf
    for name, units in TIMEOUTS.items():
        given = headers.get(name)
        if given is None:
            continue
        if not _NUMBER.fullmatch(given.strip()) or float(given) == 0:
            raise _bad(name, f"a number of {'seconds' if units == 1 else 'milliseconds'} greater than 0")
        shortest = min(shortest, float(given) / units)
    return None if shortest == math.inf else shortest


def _word(headers: Fields, header: str) -> str | None:
    given = headers.get(header)
    if given is None:
        return None
    if not 0 < len(word := given.strip()) <= _MAX_WORD:
        raise _bad(header, f"1 to {_MAX_WORD} characters")
    return word


def _bad(header: str, allowed: str) -> Problem:
    return Problem(400, "bad-request", f"The header {header} must be {allowed}.", field=header)

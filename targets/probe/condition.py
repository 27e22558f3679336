"""What a JSON body must hold: a JSONPath, evaluated within bounds.

The path comes from the settings or an administrator, the body from anybody. Expressions in a path are RE2, as a
stranger's text could make Python's hang; and how deeply a path may search is limited, so that its cost stays near the
body's size.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any

import jsonpath
import orjson
import re2
from jsonpath.function_extensions import ExpressionType, FilterFunction

from config_target import JsonCondition

MAX_PATH = 500
#: Searches through all that is below (``..``) and filters that a path may have.
MAX_SEARCHES = 2
#: Of what a path finds, so many are looked at.
MAX_FOUND = 1_000
_NO_LOGS = re2.Options()
_NO_LOGS.log_errors = False


def judge(condition: JsonCondition, body: bytes) -> tuple[bool | None, str]:
    """Whether the body is as it should be, and if not, why. None where the condition is no such."""
    try:
        path = _compile(condition.path)
        pattern = None if condition.matches is None else re2.compile(condition.matches, _NO_LOGS)
    except (ValueError, jsonpath.JSONPathError, re2.error, RecursionError) as error:
        return None, f"the condition cannot be understood: {_first_line(error)}"
    try:
        data = orjson.loads(body)
    except ValueError:
        return False, "the body is not JSON"
    try:
        found = [match.obj for match in islice(path.finditer(data), MAX_FOUND)]
    except (jsonpath.JSONPathError, RecursionError):
        return False, f"{condition.path} cannot be looked up in the body"
    if not found:
        return False, f"{condition.path} is not in the body"
    if "equals" in condition.model_fields_set and condition.equals is not None:
        if any(_same(value, condition.equals) for value in found):
            return True, ""
        return False, f"{condition.path} is not {_json(condition.equals)}"
    if pattern is not None:
        if any(pattern.fullmatch(_plain(value)) for value in found):
            return True, ""
        return False, f"{condition.path} does not match {condition.matches}"
    if any(value is not None and value is not False for value in found):
        return True, ""
    return False, f"{condition.path} is {_json(found[0])}"


def _same(found: Any, wanted: Any) -> bool:
    """Equal as JSON has it: true is not 1, although Python thinks so."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


@lru_cache(maxsize=256)
def _compile(path: str) -> Any:
    if len(path) > MAX_PATH:
        raise ValueError(f"a path of more than {MAX_PATH} characters")
    if path.count("..") + path.count("[?") > MAX_SEARCHES:
        raise ValueError(f"more than {MAX_SEARCHES} searches (..) and filters")
    return _environment().compile(path)


@lru_cache(maxsize=1)
def _environment() -> jsonpath.JSONPathEnvironment:
    environment = jsonpath.JSONPathEnvironment(strict=True)  # RFC 9535 and no more
    environment.function_extensions["match"] = _Pattern(whole=True)
    environment.function_extensions["search"] = _Pattern(whole=False)
    return environment


class _Pattern(FilterFunction):
    """``match()`` and ``search()`` of RFC 9535, in linear time."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the base class has it so
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, value: object, pattern: object) -> bool:
        """Whether a text matches; what is no text, and what is no expression, does not."""
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        try:
            compiled = re2.compile(pattern, _NO_LOGS)
        except re2.error:
            return False
        return bool(compiled.fullmatch(value) if self._whole else compiled.search(value))

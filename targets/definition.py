"""What the page says that a target is made of: checked, with its secrets hidden, and with those that it hides. Pure.

A secret is shown as :data:`HIDDEN`. A definition that comes back with it, or without the field, keeps what was there,
as long as it is sent to the same place: else who may edit could have it sent to himself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from config_target import PAGE_KEYS, TargetSettings

#: What stands in for a secret.
HIDDEN = "(hidden)"
_SECRETS = ("password", "bearer_token", "body")
_MAX_CHARACTERS = 64 * 1024


class DefinitionError(Exception):
    """A definition that will not do; the message says what is wrong with which ``field``, in a sentence."""

    permanent = True

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def check(definition: Mapping[str, Any]) -> TargetSettings:
    """What a definition makes. Raises :class:`DefinitionError`, which never repeats a value."""
    for key in definition:
        if key not in PAGE_KEYS:
            known = key in TargetSettings.model_fields
            why = "only the settings file may have this" if known else f"must be one of {', '.join(PAGE_KEYS)}"
            raise DefinitionError(f"{str(key)[:60]}: {why}", str(key)[:60])
    if len(str(definition)) > _MAX_CHARACTERS:
        raise DefinitionError("a definition has at most 64 KiB")
    try:
        settings = TargetSettings.model_validate(dict(definition))
    except ValidationError as error:
        raise _explained(error) from None
    for field, url, _ in _places(definition):
        try:
            host = urlsplit(url).netloc
        except ValueError:
            raise DefinitionError(f"{field}.url: must be a URL", f"{field}.url") from None
        if "@" in host:
            raise DefinitionError(f"{field}.url: a user and a password go into username and password", f"{field}.url")
    return settings


def hide(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which each secret is :data:`HIDDEN`."""
    shown = copy.deepcopy(dict(definition))
    for _, _, section in _places(shown):
        for name in _SECRETS:
            if section.get(name) is not None:
                section[name] = HIDDEN
        if isinstance(section.get("headers"), dict):
            section["headers"] = dict.fromkeys(section["headers"], HIDDEN)
    return shown


def keep_secrets(definition: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which what is hidden or left out has the value that it had before. Raises :class:`DefinitionError`."""
    whole = copy.deepcopy(dict(definition))
    known = {field: (url, section) for field, url, section in _places(before)}
    for field, url, section in _places(whole):
        earlier, old = known.get(field, ("", {}))
        _keep(field, section, old, same=bool(earlier) and _origin(url) == _origin(earlier))
    return whole


def _keep(field: str, section: dict[str, Any], old: Mapping[str, Any], *, same: bool) -> None:
    for name in _SECRETS:
        if section.get(name, HIDDEN) == HIDDEN and (name in section or old.get(name) is not None):
            section[name] = _again(f"{field}.{name}", old.get(name), same=same)
    headers, known = section.get("headers", HIDDEN), old.get("headers")
    earlier = known if isinstance(known, dict) else {}
    if headers == HIDDEN:
        section.pop("headers", None)
        headers = dict.fromkeys(earlier, HIDDEN)
    if isinstance(headers, dict) and headers:
        section["headers"] = {
            name: _again(f"{field}.headers.{name}", earlier.get(name), same=same) if value == HIDDEN else value
            for name, value in headers.items()
        }


def _again(field: str, value: Any, *, same: bool) -> Any:
    """What was there before, if it may go where it is to go now."""
    if value is None:
        raise DefinitionError(f"{field}: there is none that could be kept", field)
    if not same:
        raise DefinitionError(f"{field}: the URL leads elsewhere now, so give it again, or null for none", field)
    return value


def _places(definition: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each part that has a URL: how it is called, the URL, and the part itself. What is no such is passed over."""
    http = definition.get("http")
    if isinstance(http, dict):
        yield "http", str(http.get("url", "")), http
    given = definition.get("scrape")
    scrapes = given if isinstance(given, list) else [given]
    for index, scrape in enumerate(scrapes):
        if isinstance(scrape, dict):
            yield f"scrape.{index}", str(scrape.get("url", "")), scrape


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.scheme.lower(), parts.netloc.lower()


def _explained(error: ValidationError) -> DefinitionError:
    """The first mistake in a sentence, without the value: it may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return DefinitionError(f"{field}: there is no such setting", field)
    if first["type"] == "missing":
        return DefinitionError(f"{field}: is missing", field)
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return DefinitionError(f"{field}: must be {rule}" if field else f"a target needs {rule}", field or None)

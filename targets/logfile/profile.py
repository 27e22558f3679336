"""What is known of the logs of well-known programs: ``profiles/*.yml``, with patterns and how an entry begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from config_target import LogPattern
from targets.logfile.pattern import Pattern

PROFILES = Path(__file__).parent / "profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """One program's logs."""

    name: str
    multiline: str | None
    patterns: tuple[Pattern, ...]


@lru_cache
def load_profile(name: str) -> Profile:
    """The profile of that name, one of those that :class:`~config_target.LogTarget` knows."""
    found = yaml.safe_load((PROFILES / f"{name}.yml").read_text(encoding="utf-8"))
    return Profile(name, found.get("multiline"), tuple(_pattern(one) for one in found["patterns"]))


def _pattern(found: dict[str, object]) -> Pattern:
    advice_zh = found.pop("advice_zh", None)
    return Pattern(LogPattern.model_validate(found), advice_zh=None if advice_zh is None else str(advice_zh))

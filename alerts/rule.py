"""Rule files: read from disk or from text, and the stock rules that come with Wakeless."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from alerts.group import AnyRule, Fault, Group, Recording, Rule, RuleError
from alerts.rulefile import RuleFile

__all__ = [
    "PROFILES",
    "STOCK_FILE",
    "AnyRule",
    "Fault",
    "Group",
    "Recording",
    "Rule",
    "RuleError",
    "inspect_rules",
    "load_profile",
    "load_rules",
    "load_stock",
    "parse_rules",
    "profile_file",
    "read_rules",
]

#: The rules that come with Wakeless.
STOCK_FILE = Path(__file__).with_name("stock.yml")
#: Rules for vLLM, Triton and others, one file each.
PROFILES = Path(__file__).with_name("profile")


def load_rules(path: Path) -> list[Group]:
    """Read one rule file. Raises :class:`RuleError` if anything in it is wrong or it cannot be read."""
    groups, problems = read_rules(path)
    if problems:
        raise RuleError(problems)
    return groups


def load_stock(replaced_by: Iterable[Group] = ()) -> list[Group]:
    """The stock rules, less those whose name a rule of ``replaced_by`` carries: that is how one is adjusted."""
    return _less(load_rules(STOCK_FILE), replaced_by)


def load_profile(name: str, replaced_by: Iterable[Group] = ()) -> list[Group]:
    """As :func:`load_stock`, the rules for what a scraped target is said to be."""
    return _less(load_rules(profile_file(name)), replaced_by)


def profile_file(name: str) -> Path:
    """Where the rules of a profile are."""
    return PROFILES / f"{name}.yml"


def _less(groups: Iterable[Group], replaced_by: Iterable[Group]) -> list[Group]:
    own = {rule.name for group in replaced_by for rule in group.rules}
    return [replace(group, rules=tuple(rule for rule in group.rules if rule.name not in own)) for group in groups]


def read_rules(path: Path) -> tuple[list[Group], list[str]]:
    """What a rule file holds, and a line for everything that is wrong with it."""
    try:
        return parse_rules(path.read_bytes(), str(path))
    except OSError as error:
        return [], [f"{path}: cannot be read: {error.strerror}"]


def parse_rules(text: str | bytes, file: str) -> tuple[list[Group], list[str]]:
    """As :func:`read_rules`, from text; ``file`` is what the messages call it."""
    groups, faults = inspect_rules(text, file)
    return groups, [str(fault) for fault in faults]


def inspect_rules(text: str | bytes, file: str) -> tuple[list[Group], list[Fault]]:
    """As :func:`parse_rules`, with the place of everything that is wrong."""
    reader = RuleFile(file)
    groups = reader.read(text)
    return groups, reader.faults

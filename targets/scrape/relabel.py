"""Relabelling as Prometheus does it: which series are kept, and what they are called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import re2

from config_target import Relabel

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: What a template of Go's ``regexp.Expand`` refers to: ``$$``, ``$1``, ``$name``, ``${1}``, ``${name}``.
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)
_NEED_TARGET = {"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"}

LabelSet = dict[str, str]


class RelabelError(ValueError):
    """A step that cannot be carried out: its expression is none, or something is missing."""


class _Step(NamedTuple):
    settings: Relabel
    regex: Any

    def joined(self, labels: LabelSet) -> str:
        return self.settings.separator.join(labels.get(name, "") for name in self.settings.source_labels)


class Relabelling:
    """Steps that are taken one after the other. Raises :class:`RelabelError` for one that makes no sense."""

    def __init__(self, steps: Sequence[Relabel]) -> None:
        self._steps = [_compile(step) for step in steps]

    def apply(self, labels: LabelSet) -> LabelSet | None:
        """The labels (``__name__`` among them) as they are afterwards, none of them empty; None drops the series."""
        labels = dict(labels)
        for step in self._steps:
            action = _ACTIONS[step.settings.action]
            if not action(step, labels):
                return None
        return {name: value for name, value in labels.items() if value}


def _compile(step: Relabel) -> _Step:
    if step.action in _NEED_TARGET and not step.target_label:
        raise RelabelError(f"relabelling by {step.action} needs a target_label")
    if step.action == "hashmod" and not step.modulus:
        raise RelabelError("relabelling by hashmod needs a modulus")
    options = re2.Options()
    options.log_errors = False
    try:
        return _Step(step, re2.compile(f"(?s:{step.regex})", options))
    except re2.error as error:
        raise RelabelError(f"the regex {step.regex!r} of a relabelling is none: {error}") from None


def _keep(step: _Step, labels: LabelSet) -> bool:
    return step.regex.fullmatch(step.joined(labels)) is not None


def _drop(step: _Step, labels: LabelSet) -> bool:
    return step.regex.fullmatch(step.joined(labels)) is None


def _keep_equal(step: _Step, labels: LabelSet) -> bool:
    return labels.get(step.settings.target_label or "", "") == step.joined(labels)


def _drop_equal(step: _Step, labels: LabelSet) -> bool:
    return not _keep_equal(step, labels)


def _replace(step: _Step, labels: LabelSet) -> bool:
    found = step.regex.fullmatch(step.joined(labels))
    if found is None:
        return True
    target = _expand(step.settings.target_label or "", found)
    if _LABEL_NAME.fullmatch(target):
        labels[target] = _expand(step.settings.replacement, found)
    return True


def _hash(step: _Step, labels: LabelSet) -> bool:
    digest = hashlib.md5(step.joined(labels).encode(), usedforsecurity=False).digest()
    labels[step.settings.target_label or ""] = str(int.from_bytes(digest[8:]) % (step.settings.modulus or 1))
    return True


def _map(step: _Step, labels: LabelSet) -> bool:
    for name, value in sorted(labels.items()):
        found = step.regex.fullmatch(name)
        if found is not None:
            labels[_expand(step.settings.replacement, found)] = value
    return True


def _drop_labels(step: _Step, labels: LabelSet) -> bool:
    for name in [name for name in labels if step.regex.fullmatch(name)]:
        del labels[name]
    return True


def _keep_labels(step: _Step, labels: LabelSet) -> bool:
    for name in [name for name in labels if not step.regex.fullmatch(name)]:
        del labels[name]
    return True


def _lower(step: _Step, labels: LabelSet) -> bool:
    labels[step.settings.target_label or ""] = step.joined(labels).lower()
    return True


def _upper(step: _Step, labels: LabelSet) -> bool:
    labels[step.settings.target_label or ""] = step.joined(labels).upper()
    return True


_ACTIONS: dict[str, Callable[[_Step, LabelSet], bool]] = {
    "keep": _keep,
    "drop": _drop,
    "keepequal": _keep_equal,
    "dropequal": _drop_equal,
    "replace": _replace,
    "hashmod": _hash,
    "labelmap": _map,
    "labeldrop": _drop_labels,
    "labelkeep": _keep_labels,
    "lowercase": _lower,
    "uppercase": _upper,
}


def _expand(template: str, found: Any) -> str:
    """Go's ``regexp.Expand``: a group that does not exist, or took no part, is empty."""
    return _REFERENCE.sub(lambda reference: _referred(reference, found), template)


def _referred(reference: re.Match[str], found: Any) -> str:
    dollar, bare, braced = reference.groups()
    if dollar:
        return "$"
    name = bare or braced
    try:
        return found.group(int(name) if name.isdigit() else name) or ""
    except (IndexError, KeyError):
        return ""

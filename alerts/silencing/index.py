"""Finds what an alert's labels match among many, without asking each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from alerts.silencing.matching import LabelMatcher, match_all

Thing = TypeVar("Thing")

#: Label sets whose answers are kept: alerts are the same ones from one evaluation to the next.
MAX_KNOWN = 20_000
_Entry = tuple[Sequence[LabelMatcher], Thing]


class Index(Generic[Thing]):
    """Things by one label that they ask to have one value; only those that ask for none such are asked every time.

    What it holds never changes, so that one thread may read it while another makes the next.
    """

    def __init__(self, things: Iterable[_Entry[Thing]] = ()) -> None:
        self._by_label: dict[tuple[str, str], list[_Entry[Thing]]] = {}
        self._rest: list[_Entry[Thing]] = []
        self._known: dict[frozenset[tuple[str, str]], tuple[Thing, ...]] = {}
        for given, thing in things:
            matchers = sorted(given, key=lambda one: one.is_regex)  # those that cost least first
            keys = [(one.name, one.value) for one in matchers if one.operator == "=" and one.value]
            # Every alert has a name: silences by another label as well are told apart better by that one.
            keys.sort(key=lambda key: key[0] == "alertname")
            (self._by_label.setdefault(keys[0], []) if keys else self._rest).append((matchers, thing))

    def of(self, labels: Mapping[str, str]) -> tuple[Thing, ...]:
        """The things all of whose matchers hold for ``labels``."""
        if not self._rest and not self._by_label:
            return ()
        key = frozenset(labels.items())
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = tuple(self._find(labels))
        return known

    def _find(self, labels: Mapping[str, str]) -> list[Thing]:
        found = [thing for matchers, thing in self._rest if match_all(matchers, labels)]
        for pair in labels.items():
            found += [thing for matchers, thing in self._by_label.get(pair, ()) if match_all(matchers, labels)]
        return found

"""Who looks through the lines of one source: its patterns, what they have found, and the series of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection

from collectors.sample import Sample
from config_target import LogPattern, LogTarget
from targets.logfile.entry import Entry
from targets.logfile.pattern import Pattern, is_plain
from targets.logfile.profile import load_profile
from targets.logfile.tally import Tally
from targets.logfile.wording import plain

log = structlog.get_logger(__name__)

#: Series of which one stands for all sources of a target.
_OF_TARGETS = frozenset({"log_pattern_active", "log_last_line_info", "log_advice_info"})


def patterns_of(settings: LogTarget) -> list[Pattern]:
    """Its own patterns, and those of its profile. One of its own by the name of one of the profile's stands for it.

    Where it is a keyword, the profile's expression stays, which finds the keyword and what else it is written as, and
    what is set beside it (level, count, advice) holds. Raises :class:`~targets.logfile.pattern.PatternError`.
    """
    profile = () if settings.profile is None else load_profile(settings.profile).patterns
    known = {one.title: one for one in profile}
    own = [_adapted(one, known.pop(one.title, None)) for one in settings.patterns]
    return own + list(known.values())


def _adapted(settings: LogPattern, stock: Pattern | None) -> Pattern:
    if stock is None or settings.match is None:
        return Pattern(settings)
    changes = {name: getattr(settings, name) for name in settings.model_fields_set - {"name", "match", "ignore_case"}}
    advice_zh = None if "advice" in changes else stock.advice_zh
    return Pattern(stock.settings.model_copy(update=changes), advice_zh=advice_zh)


class Matcher:
    """The patterns of one source. See :class:`~targets.logfile.entry.EntryMatcher` for when each method is called."""

    def __init__(self, target: str, source: str, settings: LogTarget) -> None:
        profile = None if settings.profile is None else load_profile(settings.profile)
        self.multiline: str | None = settings.multiline or (None if profile is None else profile.multiline)
        self._target = target
        self._source = source
        self.patterns = patterns_of(settings)
        self._tallies = self._fresh()
        self._kept: dict[str, Any] = self._dump()
        self._dirty = False

    # --- lines ----------------------------------------------------------------------------------------------------

    def may_match(self, block: bytes) -> bool:
        """Whether any of these lines could matter. Each pattern looks once through all of it, without making lines."""
        return not is_plain(block) or any(one.may_be_in(block) for one in self.patterns)

    def feed(self, entries: Sequence[Entry], now_ms: int) -> None:
        """Look through these, in their order."""
        texts = [plain(entry.text).encode(errors="replace") for entry in entries]
        # Most patterns are in none of them: one look through all of them is cheaper than one at each.
        together = b"\n".join(texts)
        sought = [tally for tally in self._tallies if tally.pattern.may_be_in(together)]
        if not sought:
            return
        for entry, text in zip(entries, texts, strict=True):
            for tally in sought:
                found = tally.pattern.search(text)
                if found is not None:
                    tally.add(entry.time_ms, text, found)
                    self._dirty = True

    # --- what is kept ---------------------------------------------------------------------------------------------

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Go on from :meth:`counters`. What is new since begins at 0; what went is forgotten."""
        self._tallies = self._fresh()
        for tally in tuple(self._tallies):
            kept = counters.get("patterns", {}).get(tally.pattern.title)
            if kept is not None:
                self._load(tally, kept)
        self._kept = self._dump()
        self._dirty = False

    def pending(self, connection: Connection, now_ms: int) -> None:
        """Write the events that have changed, and end what is quiet; before :meth:`counters` of the same round."""
        for tally in self._tallies:
            tally.write(connection)
            if tally.calm(now_ms):
                self._dirty = True

    def counters(self) -> dict[str, Any]:
        """What must outlive this process, for JSON; nobody changes it."""
        return self._dump() if self._dirty else self._kept

    def _dump(self) -> dict[str, Any]:
        return {"patterns": {tally.pattern.title: tally.dump() for tally in self._tallies}}

    def settled(self) -> None:
        """The transaction is committed."""
        if self._dirty:
            self._kept = self._dump()
            self._dirty = False

    def undo(self) -> None:
        """The transaction came to nothing: be as after the last :meth:`settled`."""
        self.restore(self._kept)

    # --- series ---------------------------------------------------------------------------------------------------

    @property
    def active(self) -> frozenset[str]:
        """The patterns of which enough lines have come, and that have not been quiet since."""
        return frozenset(tally.pattern.title for tally in self._tallies if tally.is_active)

    def samples(self, now_ms: int) -> list[Sample]:
        """Its series."""
        return [sample for tally in self._tallies for sample in tally.samples()]

    def _load(self, tally: Tally, kept: Mapping[str, Any]) -> None:
        """What cannot be read counts as nothing: a log is not to go unread for what was once noted of it."""
        try:
            tally.load(kept)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("log_counters_unreadable", target=self._target, pattern=tally.pattern.title, error=repr(error))
            place = self._tallies.index(tally)
            self._tallies[place] = Tally(self._target, self._source, tally.pattern)

    def _fresh(self) -> list[Tally]:
        return [Tally(self._target, self._source, pattern) for pattern in self.patterns]


def merge(samples: Iterable[Sample]) -> list[Sample]:
    """The samples of all sources of all targets, as one series for each target where that is what is told.

    A pattern is active where it is in any source; the line is that of the first source in which it is.
    """
    found: list[Sample] = []
    told: dict[tuple[str, str, str], int] = {}
    for sample in samples:
        if sample.name not in _OF_TARGETS:
            found.append(sample)
            continue
        labels = dict(sample.labels)
        key = (sample.name, labels["target"], labels["pattern"])
        if key not in told:
            told[key] = len(found)
            found.append(sample)
        elif sample.value > found[told[key]].value:
            found[told[key]] = sample
    return found

"""Where samples come from, as the query language sees it: anything that offers series one after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol, TypeGuard, runtime_checkable

from collectors.sample import Buckets, Hints, Matcher, Series


class SeriesSource(Protocol):
    """Offers series by matchers. The metric's name is matched like any other label, as ``__name__``."""

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[Series]:
        """Every matching series once, in any order, with at least its samples inside the windows of ``hints``.

        Stale markers are among the samples. A series without a sample in any window may be left out or come back empty,
        and there may be more samples than were asked for. Series are consumed one after another: a source should read
        each when it is asked for the next, and give series with the same moments one common array of times.
        """
        ...


@runtime_checkable
class RemarkingSource(SeriesSource, Protocol):
    """A source that may have something to say about its answer, such as that it is coarser than asked for."""

    def remarks(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[str]:
        """Sentences for whoever reads the result of a query that asks for these series; they become its infos."""
        ...


@runtime_checkable
class BucketSource(SeriesSource, Protocol):
    """A source that knows what samples amount to in whole minutes or hours, and need not read them all to say so."""

    def buckets(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[Buckets] | None:
        """Every matching series once, in any order, in buckets of which each window of ``hints`` holds whole ones.

        None where the source has no buckets for these windows: then :meth:`stream` is asked. There may be more buckets
        than the windows hold. Series with the same ends should share one array of them.
        """
        ...


def gives_remarks(source: SeriesSource) -> TypeGuard[RemarkingSource]:
    """Whether a source may have something to say."""
    return _is_a(type(source), RemarkingSource)


def has_buckets(source: SeriesSource) -> TypeGuard[BucketSource]:
    """Whether a source knows buckets."""
    return _is_a(type(source), BucketSource)


@lru_cache(64)
def _is_a(kind: type, protocol: type) -> bool:
    """Asked for every selector, and looking at a protocol takes longer than many a query."""
    return issubclass(kind, protocol)

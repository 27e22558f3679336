"""Where samples come from, as the query language sees it: anything that can select series over a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from collectors.sample import Matcher, Series


class SeriesSource(Protocol):
    """Offers series by matchers. The metric's name is matched like any other label, as ``__name__``."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """The samples of every matching series with ``start_ms <= time <= end_ms``, stale markers included.

        A series without a sample in the window may be left out or come back empty.
        """
        ...

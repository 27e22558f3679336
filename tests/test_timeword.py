"""Moments and lengths of time in words."""

from __future__ import annotations

import pytest

from timeword import span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (7530, "2 h 5 min"),
        (86400 * 3 + 4 * 3600, "3 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text

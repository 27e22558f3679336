"""A person gets a fraction of the notices, and hears of every outage."""

from __future__ import annotations

from bench.week import count


def test_of_a_mornings_changes_few_become_notices_and_every_outage_is_told() -> None:
    tally = count(13 * 3600)
    grouped, calm, quiet = tally.notices.values()
    assert tally.changes > 100
    assert tally.changes > grouped > calm > quiet > 0
    assert quiet < tally.changes / 5
    assert tally.told == tally.outages > 0
    assert tally.slowest_seconds <= 60  # two steps of the simulated time

"""Being busy is not being broken: three times as much as the model can take, and nothing is taken for a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.saturate import saturate


@pytest.mark.long
def test_saturation_is_no_failure(tmp_path: Path) -> None:
    seen = saturate(tmp_path, seconds=30.0, batch_size=4)
    tally = seen.tally
    assert not seen.alarms, seen
    assert tally.count(200), seen
    assert tally.count(429), "more came than was answered"
    assert tally.mute == 0, "every refusal says when to come back"
    assert (tally.lost, tally.unsent) == (0, 0), seen

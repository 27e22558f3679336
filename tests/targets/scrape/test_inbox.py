"""Samples that others send become ticks in which no series is ended that goes on, and none goes on that has ended."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sample import STALE, Labels, Tick, stale_mask
from storage.engine import open_database
from storage.series import SeriesStore
from targets.scrape import inbox as module
from targets.scrape.cohort import EXPIRY_MS, GRACE_MS
from targets.scrape.inbox import AHEAD_MS, OLDEST_MS, Inbox, InboxFull, Point

NOW = 1_700_000_000_000
STEP = 15_000


def point(name: str, time_ms: int, value: float = 1.0, **labels: str) -> Point:
    own: Labels = tuple(sorted({"__name__": name, "job": "j", "instance": "i", **labels}.items()))
    return own, time_ms, value


def samples(ticks: list[Tick]) -> list[tuple[str, int, float]]:
    return [
        (sample.name, tick.time_ms, sample.value)
        for tick in ticks
        if tick.source != "ingest"
        for sample in tick.samples
    ]


def test_series_that_come_together_are_written_together_at_their_time() -> None:
    inbox = Inbox(10)
    assert inbox.accept([point("a", NOW), point("b", NOW)], NOW) == 2
    assert samples(inbox.collect(NOW)) == [], "more may be on its way"
    [tick] = [tick for tick in inbox.collect(NOW + GRACE_MS) if tick.source != "ingest"]
    assert (tick.time_ms, [sample.name for sample in tick.samples]) == (NOW, ["a", "b"])
    inbox.accept([point("b", NOW + STEP), point("a", NOW + STEP)], NOW + STEP)
    [tick] = [tick for tick in inbox.collect(NOW + STEP) if tick.source != "ingest"]
    assert tick.time_ms == NOW + STEP, "all that are known have come: nothing to wait for"


def test_samples_that_come_while_a_tick_is_under_way_wait_for_the_others_as_well() -> None:
    inbox = Inbox(10)
    inbox.accept([point("a", NOW), point("b", NOW)], NOW)
    inbox.collect(NOW + GRACE_MS)
    inbox.accept([point("a", NOW + STEP)], NOW + STEP + 50)
    assert samples(inbox.collect(NOW + STEP)) == [], "the tick began before"
    assert inbox.accept([point("b", NOW + STEP)], NOW + STEP + 90) == 1
    assert len(samples(inbox.collect(NOW + STEP + 1000))) == 2


def test_a_stale_marker_ends_its_series_alone() -> None:
    inbox = Inbox(10)
    inbox.accept([point("a", NOW), point("b", NOW)], NOW)
    inbox.collect(NOW + GRACE_MS)
    inbox.accept([point("a", NOW + STEP, STALE), point("b", NOW + STEP)], NOW + STEP)
    assert samples(inbox.collect(NOW + STEP)) == [("b", NOW + STEP, 1.0)]
    inbox.accept([point("b", NOW + 2 * STEP, STALE)], NOW + 2 * STEP)
    [tick] = [tick for tick in inbox.collect(NOW + 2 * STEP) if tick.source != "ingest"]
    assert tick.samples == ()


def test_a_series_that_comes_late_or_every_other_time_keeps_all_its_samples() -> None:
    inbox = Inbox(10)
    written: list[tuple[str, int, float]] = []
    refused = 0
    for turn in range(12):
        now = NOW + turn * STEP
        inbox.accept([point("quick", now)], now)
        written += samples(inbox.collect(now + GRACE_MS))
        refused += 1 - inbox.accept([point("late", now)], now + GRACE_MS + 1)
        if turn % 2:
            refused += 1 - inbox.accept([point("rare", now)], now + GRACE_MS + 1)
        written += samples(inbox.collect(now + 2 * GRACE_MS + 2))
    names = [name for name, _, _ in written]
    assert names.count("quick") == 12
    assert (names.count("late"), names.count("rare")) == (12, 6)
    assert refused == 0


def test_what_is_not_newer_is_refused_and_what_comes_again_is_not_counted_twice() -> None:
    inbox = Inbox(10)
    inbox.accept([point("a", NOW, 1.0)], NOW)
    receipt = inbox.take([point("a", NOW, 1.0), point("a", NOW, 2.0), point("a", NOW - 1)], NOW)
    assert dict(receipt.counts) == {"duplicate": 1, "out_of_order": 2}
    assert (receipt.taken, receipt.refused) == (1, 2)
    assert receipt.example is not None
    assert receipt.example[2] == NOW
    assert samples(inbox.collect(NOW + GRACE_MS)) == [("a", NOW, 1.0)]


def test_what_is_too_old_or_of_the_future_or_before_this_process_is_refused() -> None:
    inbox = Inbox(10)
    inbox.floor_ms = NOW - 1000
    told = [point("a", NOW - OLDEST_MS), point("b", NOW + AHEAD_MS + 1), point("c", NOW - 1000), point("d", NOW)]
    receipt = inbox.take(told, NOW)
    assert dict(receipt.counts) == {"too_old": 2, "too_new": 1, "accepted": 1}


def test_series_beyond_the_limit_are_refused_while_those_that_are_known_go_on() -> None:
    inbox = Inbox(2)
    assert inbox.accept([point("a", NOW), point("b", NOW), point("c", NOW)], NOW) == 2
    inbox.collect(NOW + GRACE_MS)
    receipt = inbox.take([point("c", NOW + STEP), point("a", NOW + STEP), point("b", NOW + STEP, STALE)], NOW + STEP)
    assert receipt.counts["too_many_series"] == 1
    inbox.collect(NOW + STEP)
    assert inbox.accept([point("c", NOW + 2 * STEP)], NOW + 2 * STEP) == 1, "one has ended and made room"


def test_what_nobody_sends_any_more_ends_and_its_source_is_used_again() -> None:
    inbox = Inbox(10)
    inbox.accept([point("a", NOW)], NOW)
    [first] = [tick for tick in inbox.collect(NOW + GRACE_MS) if tick.source != "ingest"]
    later = NOW + EXPIRY_MS + GRACE_MS
    [end] = [tick for tick in inbox.collect(later) if tick.source != "ingest"]
    assert (end.source, end.samples) == (first.source, ())
    inbox.accept([point("b", later)], later)
    [again] = [tick for tick in inbox.collect(later + GRACE_MS) if tick.source != "ingest"]
    assert again.source == first.source
    assert again.time_ms > end.time_ms


def test_more_than_can_be_written_is_refused_before_anything_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PENDING", 2)
    inbox = Inbox(10)
    inbox.accept([point("a", NOW), point("b", NOW)], NOW)
    with pytest.raises(InboxFull):
        inbox.accept([point("a", NOW + STEP)], NOW + STEP)
    inbox.collect(NOW + GRACE_MS)
    assert inbox.accept([point("a", NOW + STEP)], NOW + STEP) == 1


def test_a_series_without_instance_is_told_from_our_own_and_counts_are_kept() -> None:
    inbox = Inbox(10)
    inbox.take([((("__name__", "up"), ("job", "j")), NOW, 0.0)], NOW, "otlp")
    ticks = inbox.collect(NOW + GRACE_MS)
    [tick] = [tick for tick in ticks if tick.source != "ingest"]
    assert dict(tick.samples[0].labels) == {"job": "j", "instance": "otlp"}
    [report] = [tick for tick in ticks if tick.source == "ingest"]
    counts = {dict(sample.labels)["result"]: sample.value for sample in report.samples}
    assert counts["accepted"] == 1
    assert set(counts.values()) == {0.0, 1.0}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_whatever_the_order_and_delay_times_of_a_source_ascend_and_no_sample_is_lost_or_doubled(
    seed: int, shards: int
) -> None:
    """Several senders, each in order within a series, in batches that come when they come."""
    dice = random.Random(seed)
    inbox = Inbox(1000)
    queues: list[list[Point]] = [[] for _ in range(shards)]
    for turn in range(8):
        for number in range(6):
            if number % 3 or turn % 2:
                queues[number % shards].append(point(f"m{number}", NOW + turn * STEP, float(turn)))
    accepted: list[tuple[str, int]] = []
    ticks: list[Tick] = []
    now = NOW + 8 * STEP
    while any(queues):
        queue = dice.choice([queue for queue in queues if queue])
        batch = [queue.pop(0) for _ in range(min(len(queue), dice.randint(1, 5)))]
        for one in batch:
            if inbox.accept([one], now):
                accepted.append((dict(one[0])["__name__"], one[1]))
        now += dice.choice([0, 1000, 7000])
        ticks += [tick for tick in inbox.collect(now) if tick.source != "ingest"]
    for _ in range(8):  # what parts from its company in one tick is written with the next
        now += GRACE_MS
        ticks += [tick for tick in inbox.collect(now) if tick.source != "ingest"]
    last: dict[str, int] = {}
    for tick in ticks:
        assert tick.time_ms > last.get(tick.source, -1)
        last[tick.source] = tick.time_ms
    assert sorted(accepted) == sorted((name, time_ms) for name, time_ms, _ in samples(ticks))


def test_the_store_ends_exactly_what_ended(tmp_path: Path) -> None:
    database = open_database(tmp_path / "wakeless.db")
    store = SeriesStore(database)
    store.load()
    inbox = Inbox(10)
    for turn in range(4):
        now = NOW + turn * STEP
        inbox.accept([point("a", now), *([point("b", now)] if turn < 2 else [])], now)
        if turn == 2:
            inbox.accept([point("b", now, STALE)], now)
        store.append(inbox.collect(now + GRACE_MS))
    found = {dict(series.labels)["__name__"]: series for series in store.select((), NOW, NOW + 10 * STEP)}
    assert list(stale_mask(found["a"].values)) == [False] * 4
    assert list(stale_mask(found["b"].values)) == [False, False, True]
    assert list(found["b"].times - NOW) == [0, STEP, 2 * STEP]
    assert store.dropped == 0
    store.close()
    database.dispose()


def test_a_moment_for_each_sample_goes_over_many_ticks_and_costs_none_of_them_much() -> None:
    inbox = Inbox(10)
    inbox.accept([point("a", NOW - 30_000 + number) for number in range(30_000)], NOW)
    ticks = [tick for tick in inbox.collect(NOW + GRACE_MS) if tick.source != "ingest"]
    assert 0 < len(ticks) < 3000
    with pytest.raises(InboxFull):
        inbox.accept([point("b", NOW)], NOW)
    while more := [tick for tick in inbox.collect(NOW + GRACE_MS) if tick.source != "ingest"]:
        ticks += more
    assert [tick.time_ms for tick in ticks] == [NOW - 30_000 + number for number in range(30_000)]
    assert inbox.accept([point("b", NOW)], NOW) == 1


def test_others_are_written_while_one_sends_more_than_a_tick_can_take() -> None:
    inbox = Inbox(10)
    inbox.accept([point("a", NOW - 9_000 + number) for number in range(9_000)], NOW)
    inbox.accept([((("__name__", "b"), ("instance", "other"), ("job", "j")), NOW, 1.0)], NOW)
    inbox.collect(NOW + GRACE_MS)
    assert ("b", NOW, 1.0) in samples(inbox.collect(NOW + GRACE_MS))


def test_very_many_that_leave_their_company_at_once_keep_what_they_have_of_later_moments() -> None:
    inbox = Inbox(5000)
    inbox.accept([point(f"m{number}", NOW) for number in range(5000)], NOW)
    inbox.accept([point("m0", NOW + 1 + number) for number in range(5000)], NOW)
    inbox.accept([point(f"m{number}", NOW + 6000) for number in range(5000)], NOW)
    written: list[tuple[str, int, float]] = []
    for turn in range(20):
        written += samples(inbox.collect(NOW + (turn + 1) * GRACE_MS))
    assert len(written) == 15_000

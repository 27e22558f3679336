"""What is kept, for how long, and at what cost; equal questions at the same time are computed once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cache import Kept, ResultCache
from tests.model.conftest import Clock
from tests.model.stage import PATIENCE

ENTRY = 1024


def kept(text: bytes = b'"x"', *, load: int = 0, stored: float = Clock.now, version: str = "1") -> Kept:
    return Kept(text, None, "m", version, {}, load, stored)


def key(body: bytes, version: str = "1", content_type: str = "application/json") -> bytes:
    return ResultCache.key("m", version, content_type.encode(), body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, capacity: int = 100 * ENTRY, seconds: float = 60.0) -> ResultCache:
    return ResultCache(capacity, seconds, clock)


def test_an_answer_is_fresh_until_its_time_is_over_and_stale_ever_after(clock: Clock) -> None:
    cache = make(clock)
    cache.keep(key(b"a"), kept())
    clock.now += 59
    assert cache.fresh(key(b"a")) == kept()
    clock.now += 1
    assert cache.fresh(key(b"a")) is None
    assert cache.stale(key(b"a")) == kept()
    assert (cache.figures().hits, cache.figures().misses) == (1, 1)


def test_a_version_that_is_loaded_anew_makes_its_answers_stale_and_leaves_others_alone(clock: Clock) -> None:
    cache = make(clock)
    cache.keep(key(b"a", "1"), kept(version="1"))
    cache.keep(key(b"a", "2"), kept(version="2"))
    cache.renew("m", "1")
    assert cache.fresh(key(b"a", "1")) is None
    assert cache.stale(key(b"a", "1")) is not None
    assert cache.fresh(key(b"a", "2")) is not None
    assert cache.loads("m", "1") == 1


def test_the_least_recently_used_makes_room_by_bytes(clock: Clock) -> None:
    cache = make(clock, capacity=3 * (ENTRY + 100))
    for name in (b"a", b"b", b"c"):
        cache.keep(key(name), kept(b"x" * 100))
    assert cache.fresh(key(b"a")) is not None
    cache.keep(key(b"d"), kept(b"x" * 100))
    assert cache.stale(key(b"b")) is None
    assert cache.stale(key(b"a")) is not None
    figures = cache.figures()
    assert (figures.entries, figures.bytes, figures.evictions) == (3, 3 * (ENTRY + 100), 1)


def test_one_answer_that_is_larger_than_the_cache_pushes_nothing_out(clock: Clock) -> None:
    cache = make(clock, capacity=4 * ENTRY)
    cache.keep(key(b"a"), kept())
    cache.keep(key(b"b"), kept(b"x" * 4 * ENTRY))
    assert cache.figures().entries == 1
    assert cache.stale(key(b"a")) is not None


def test_a_size_of_nothing_keeps_nothing(clock: Clock) -> None:
    cache = make(clock, capacity=0)
    assert not cache.enabled
    cache.keep(key(b"a"), kept())
    assert cache.figures().entries == 0


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.lists(st.binary(max_size=3)).map(tuple)),
                min_size=2, max_size=2, unique=True))  # fmt: skip
def test_different_questions_have_different_keys(questions: list[tuple[str, str, tuple[bytes, ...]]]) -> None:
    first, second = (ResultCache.key(model, version, *parts) for model, version, parts in questions)
    assert first != second


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000)), max_size=60))
def test_it_never_holds_more_than_it_may_and_knows_how_much(writes: list[tuple[int, int]]) -> None:
    cache = make(Clock(), capacity=8 * ENTRY)
    for name, size in writes:
        cache.keep(key(bytes([name])), kept(b"x" * size))
        held = [found for number in range(10) if (found := cache.stale(key(bytes([number])))) is not None]
        assert cache.figures().bytes == sum(len(one.payload) + ENTRY for one in held) <= 8 * ENTRY
        assert cache.figures().entries == len(held)


def test_equal_questions_wait_for_the_first_one(clock: Clock) -> None:
    cache = make(clock)
    assert cache.board(key(b"a")) is None
    flight = cache.board(key(b"a"))
    assert flight is not None
    assert cache.board(key(b"b")) is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(flight.wait, PATIENCE)
        cache.land(key(b"a"), kept())
        assert waiting.result(PATIENCE) == kept()
    assert cache.board(key(b"a")) is None, "the next one computes again"


def test_many_threads_leave_the_figures_right(clock: Clock) -> None:
    cache, together = make(clock, capacity=20 * ENTRY), threading.Barrier(8)

    def work(seed: int) -> None:
        together.wait(PATIENCE)
        for number in range(200):
            name = key(bytes([(number * seed) % 40]))
            if cache.fresh(name) is None:
                cache.keep(name, kept(b"x" * number))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, seed) for seed in range(1, 9)]:
            done.result(PATIENCE)
    figures = cache.figures()
    assert figures.hits + figures.misses == 8 * 200
    assert figures.bytes <= 20 * ENTRY

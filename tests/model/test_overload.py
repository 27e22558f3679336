"""A queue that holds more than a burst is kept short until it has been empty once."""

from __future__ import annotations

from model.queue import Obstacle, Work, WorkQueue

HIGH, NORMAL, LOW = range(3)
SIZE, BATCH = 16, 2


def queue() -> WorkQueue:
    return WorkQueue(SIZE, BATCH, 0.0, lambda: 100.0, shed=(0.75, 0.5))


def offer(waiting: WorkQueue, rank: int = NORMAL) -> bool:
    return waiting.offer(Work(None, 1e9, rank=rank))


def fill(waiting: WorkQueue, rank: int = NORMAL) -> int:
    """Offer until there is an obstacle; returns how many went in."""
    count = 0
    while offer(waiting, rank):
        count += 1
    return count


def obstacles(waiting: WorkQueue) -> list[Obstacle | None]:
    return [waiting.obstacle(rank) for rank in (HIGH, NORMAL, LOW)]


def test_a_burst_is_let_in_up_to_the_shedding_of_its_priority() -> None:
    assert fill(queue()) == 0.75 * SIZE


def test_after_that_hardly_anybody_is_let_in_behind_more_than_two_batches() -> None:
    waiting = queue()
    fill(waiting)
    while len(waiting) > 2 * BATCH:
        waiting.take()
        assert waiting.obstacle(NORMAL) == ("overload" if len(waiting) >= 2 * BATCH else None)
    waiting.take()
    assert fill(waiting) == BATCH
    assert obstacles(waiting) == [None, "overload", "overload"]


def test_what_matters_most_is_let_in_until_it_is_full() -> None:
    waiting = queue()
    there = fill(waiting)
    assert fill(waiting, HIGH) == SIZE - there


def test_once_it_has_been_empty_bursts_are_let_in_again() -> None:
    waiting = queue()
    fill(waiting)
    while len(waiting):
        waiting.take()
    assert fill(waiting) == 0.75 * SIZE


def test_a_queue_that_never_fills_up_refuses_nobody() -> None:
    waiting = queue()
    for _ in range(100):  # a crowd of clients that wait for their answers: always more than two batches
        while len(waiting) < 0.75 * SIZE - 1:
            assert offer(waiting)
        waiting.take()
    assert obstacles(waiting)[:2] == [None, None]


def test_a_request_of_many_inputs_is_let_in_whole_or_not_at_all() -> None:
    waiting = queue()
    fill(waiting)
    while len(waiting) >= 2 * BATCH:
        waiting.take()
    assert offer(waiting)
    joining = 0
    while waiting.offer(Work(None, 1e9, rank=NORMAL), joins=True):
        joining += 1
    assert joining > 2 * BATCH


def test_less_important_work_does_not_make_it_short() -> None:
    waiting = queue()
    assert fill(waiting, LOW) == 0.5 * SIZE
    assert waiting.obstacle(NORMAL) is None


def test_what_is_given_up_makes_room_again() -> None:
    waiting = queue()
    works = [Work(None, 1e9, rank=NORMAL) for _ in range(SIZE)]
    let_in = [work for work in works if waiting.offer(work)]
    for work in let_in:
        waiting.abandon(work)
    assert waiting.obstacle(NORMAL) is None
    waiting.fail_all(lambda: RuntimeError("over"))
    assert fill(waiting) == 0.75 * SIZE

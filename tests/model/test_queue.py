"""The queue by itself, with its clock driven by hand."""

from __future__ import annotations

import threading
from collections.abc import Hashable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model.errors import DeadlineExceeded, Draining
from model.queue import Stream, Work, WorkQueue
from model.refill import Refill
from tests.model.stage import PATIENCE

HIGH, NORMAL, LOW = range(3)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def offered(queue: WorkQueue, *inputs: float, deadline: float = 1e9) -> list[Work]:
    works = [Work(each, deadline) for each in inputs]
    assert all(queue.offer(work) for work in works)
    return works


def test_it_takes_what_waits_in_order_up_to_the_batch_size() -> None:
    queue = WorkQueue(8, 2, 0.0, Clock())
    first, second, third = offered(queue, 1, 2, 3)
    assert queue.take() == [first, second]
    assert queue.take() == [third]
    assert first.phase == "running"


def test_it_refuses_one_more_than_its_size_and_takes_it_after_one_has_gone() -> None:
    queue = WorkQueue(2, 1, 0.0, Clock())
    offered(queue, 1, 2)
    late = Work(3, 1e9)
    assert queue.full
    assert not queue.offer(late)
    queue.take()
    assert queue.offer(late)


def test_an_abandoned_work_frees_its_place_and_is_never_taken() -> None:
    queue = WorkQueue(2, 2, 0.0, Clock())
    first, second = offered(queue, 1, 2)
    assert queue.abandon(first)
    assert not queue.full
    assert first.input is None
    assert queue.take() == [second]
    assert not queue.abandon(second), "it has started"


def test_expired_work_is_settled_and_does_not_reach_the_batch() -> None:
    clock = Clock()
    queue = WorkQueue(4, 4, 0.0, clock)
    (late,) = offered(queue, 1, deadline=101.0)
    (timely,) = offered(queue, 2, deadline=200.0)
    clock.now = 101.0
    assert queue.take() == [timely]
    assert isinstance(late.error, DeadlineExceeded)
    assert late.wait(0)


def test_a_full_batch_does_not_wait_for_the_window() -> None:
    queue = WorkQueue(8, 2, 1000.0, Clock())
    works = offered(queue, 1, 2)
    assert queue.take() == works


def test_a_lone_work_goes_when_its_window_is_over() -> None:
    clock = Clock()
    queue = WorkQueue(8, 2, 5.0, clock)
    works = offered(queue, 1)
    clock.now += 5.0
    assert queue.take() == works


def test_the_taker_waits_in_the_window_until_the_batch_is_full() -> None:
    queue = WorkQueue(8, 2, 1000.0, Clock())
    (first,) = offered(queue, 1)
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(queue.take()))
    taker.start()
    (second,) = offered(queue, 2)
    taker.join(PATIENCE)
    assert taken == [[first, second]]


def test_urgent_errands_go_before_requests_and_others_after_them() -> None:
    queue = WorkQueue(8, 8, 0.0, Clock())
    (work,) = offered(queue, 1)

    def idle() -> None: ...
    def urgent() -> None: ...

    queue.submit(idle, urgent=False)
    queue.submit(urgent, urgent=True)
    assert [queue.take(), queue.take(), queue.take()] == [urgent, [work], idle]


def test_a_closed_queue_gives_out_what_it_holds_and_then_ends() -> None:
    queue = WorkQueue(8, 8, 1000.0, Clock())
    works = offered(queue, 1)
    queue.close()
    assert not queue.offer(Work(2, 1e9))
    assert not queue.submit(lambda: None, urgent=True)
    assert queue.take() == works
    assert queue.take() is None


def test_failing_all_gives_each_waiting_request_an_error_of_its_own() -> None:
    queue = WorkQueue(8, 8, 0.0, Clock())
    first, second = offered(queue, 1, 2)
    assert queue.fail_all(lambda: Draining("stopping")) == 2
    assert isinstance(first.error, Draining)
    assert first.error is not second.error
    assert len(queue) == 0


def ranked(queue: WorkQueue, *inputs: tuple[object, int, Hashable]) -> list[Work]:
    works = [Work(given, 1e9, rank=rank, bucket=bucket) for given, rank, bucket in inputs]
    assert all(queue.offer(work) for work in works)
    return works


def test_a_higher_priority_goes_first_and_within_one_the_older() -> None:
    queue = WorkQueue(8, 1, 0.0, Clock())
    low, first, second, high = ranked(queue, (1, LOW, None), (2, NORMAL, None), (3, NORMAL, None), (4, HIGH, None))
    assert [queue.take() for _ in range(4)] == [[high], [first], [second], [low]]


def test_a_low_priority_rises_with_its_age_and_is_not_starved() -> None:
    clock = Clock()
    queue = WorkQueue(8, 1, 0.0, clock, aging_seconds=5.0)
    (low,) = ranked(queue, (1, LOW, None))
    clock.now += 5.0
    (normal,) = ranked(queue, (2, NORMAL, None))
    assert queue.take() == [low], "it counts as normal now, and is the older one"
    clock.now += 5.0
    (high,) = ranked(queue, (3, HIGH, None))
    assert queue.take() == [normal]
    assert queue.take() == [high]


def test_a_batch_is_filled_up_with_lower_priorities() -> None:
    queue = WorkQueue(8, 3, 0.0, Clock())
    low, normal, high = ranked(queue, (1, LOW, None), (2, NORMAL, None), (3, HIGH, None))
    assert queue.take() == [high, normal, low]


def test_inputs_of_different_buckets_never_share_a_batch_and_the_oldest_bucket_goes_first() -> None:
    queue = WorkQueue(8, 4, 0.0, Clock())
    a, b, c, d = ranked(queue, (1, NORMAL, "small"), (2, NORMAL, "large"), (3, NORMAL, "small"), (4, NORMAL, "large"))
    assert queue.take() == [a, c]
    assert queue.take() == [b, d]


def test_within_the_window_a_bucket_that_is_full_need_not_wait_for_one_that_is_not() -> None:
    clock = Clock()
    queue = WorkQueue(8, 2, 1000.0, clock)
    lonely, first, second = ranked(queue, (1, NORMAL, "a"), (2, NORMAL, "b"), (3, NORMAL, "b"))
    assert queue.take() == [first, second]
    clock.now += 1000.0
    assert queue.take() == [lonely]


def test_the_last_places_are_kept_for_higher_priorities() -> None:
    queue = WorkQueue(10, 1, 0.0, Clock(), shed=(0.9, 0.5))
    ranked(queue, *[(number, LOW, None) for number in range(5)])
    assert (queue.obstacle(LOW), queue.obstacle(NORMAL)) == ("shed", None)
    assert not queue.offer(Work(0, 1e9, rank=LOW))
    ranked(queue, *[(number, NORMAL, None) for number in range(4)])
    assert (queue.obstacle(NORMAL), queue.obstacle(HIGH)) == ("shed", None)
    ranked(queue, (9, HIGH, None))
    assert [queue.obstacle(rank) for rank in (HIGH, NORMAL, LOW)] == ["queue_full"] * 3
    assert (queue.ahead(HIGH), queue.ahead(NORMAL), queue.ahead(LOW)) == (1, 5, 10)


def test_each_stream_has_a_step_between_two_batches() -> None:
    queue = WorkQueue(8, 1, 0.0, Clock())
    one, two = Stream("a", 1e9), Stream("b", 1e9)
    assert queue.open(one)
    assert queue.open(two)
    works = offered(queue, 1, 2)
    turns = []
    for _ in range(6):
        turn = queue.take()
        turns.append(turn)
        if isinstance(turn, Stream):
            queue.again(turn)
    assert turns == [[works[0]], one, two, [works[1]], one, two]


def test_a_stream_stands_in_line_once_however_often_it_asks() -> None:
    queue = WorkQueue(8, 1, 0.0, Clock())
    stream = Stream("a", 1e9)
    queue.open(stream)
    queue.again(stream)
    assert queue.take() is stream
    queue.leave(stream)
    queue.again(stream)
    queue.close()
    assert queue.take() is None


def test_a_stream_that_rests_is_taken_when_its_time_is_over() -> None:
    clock = Clock()
    queue = WorkQueue(8, 1, 0.0, clock)
    stream = Stream("a", 110.0)
    queue.open(stream)
    assert queue.take() is stream
    clock.now = 110.0
    assert queue.take() is stream


class QueueMachine(RuleBasedStateMachine):
    """Any order of offers, takes, streams and passing time keeps the queue's promises, as a list of works has them."""

    SIZE, BATCH, AGING, STREAMS = 5, 3, 4.0, 2

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = WorkQueue(
            self.SIZE, self.BATCH, 0.0, self.clock, shed=(0.8, 0.4), aging_seconds=self.AGING, max_streams=self.STREAMS
        )
        self.waiting: list[Work] = []
        self.running: list[Work] = []
        self.open: list[Stream] = []
        self.in_line: list[Stream] = []

    @rule(patience=st.floats(0.5, 20.0), rank=st.sampled_from((HIGH, NORMAL, LOW)), bucket=st.sampled_from("ab"))
    def offer(self, patience: float, rank: int, bucket: str) -> None:
        work = Work(object(), self.clock.now + patience, rank=rank, bucket=bucket)
        accepted = self.queue.offer(work)
        assert accepted == (len(self.waiting) < {HIGH: 5, NORMAL: 4, LOW: 2}[rank])
        if accepted:
            self.waiting.append(work)

    @rule(seconds=st.floats(0.1, 10.0))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.waiting))
        assert self.queue.abandon(work)
        assert not self.queue.abandon(work)
        self.waiting.remove(work)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def abandon_too_late(self, data: st.DataObject) -> None:
        assert not self.queue.abandon(data.draw(st.sampled_from(self.running)))

    @rule()
    def open_stream(self) -> None:
        stream = Stream(object(), 1e9)
        opened = self.queue.open(stream)
        assert opened == (len(self.open) < self.STREAMS)
        if opened:
            self.open.append(stream)
            self.in_line.append(stream)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def stream_asks_again(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(self.open))
        self.queue.again(stream)
        if stream not in self.in_line:
            self.in_line.append(stream)

    @precondition(lambda self: len(self.open) > len(set(self.in_line) & set(self.open)))
    @rule(data=st.data())
    def stream_leaves(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from([stream for stream in self.open if stream not in self.in_line]))
        self.queue.leave(stream)
        self.open.remove(stream)

    def key(self, work: Work) -> tuple[int, float, int]:
        risen = max(0, work.rank - int((self.clock.now - work.enqueued) / self.AGING))
        return risen, work.enqueued, work.rank

    @rule()
    def take(self) -> None:
        def nothing() -> None: ...

        self.queue.submit(nothing, urgent=False)  # so that a take with nothing in time still returns
        turn = self.queue.take()
        if isinstance(turn, Stream):
            assert turn is self.in_line.pop(0)
        elif turn is nothing:
            assert not self.in_line
            assert all(work.deadline <= self.clock.now for work in self.waiting)
        else:
            self.batch_is_right(turn)
        if turn is not nothing:
            self.queue._idle.remove(nothing)  # the errand was not needed
        late = [work for work in self.waiting if work.settled]
        assert all(isinstance(work.error, DeadlineExceeded) for work in late)
        assert all(work.deadline <= self.clock.now for work in late)
        self.waiting = [work for work in self.waiting if not work.settled]

    def batch_is_right(self, turn: object) -> None:
        assert isinstance(turn, list)
        in_time = sorted((work for work in self.waiting if work.deadline > self.clock.now), key=self.key)
        mates = [work for work in in_time if work.bucket == turn[0].bucket]
        assert self.key(turn[0])[:2] == self.key(in_time[0])[:2], "whose turn it is goes first"
        assert len({work.bucket for work in turn}) == 1
        assert [self.key(work)[:2] for work in turn] == [self.key(work)[:2] for work in mates[: self.BATCH]]
        assert len(set(map(id, turn))) == len(turn)
        self.waiting = [work for work in self.waiting if work not in turn]
        self.running += turn

    @rule()
    def settle_running(self) -> None:
        for work in self.running:
            work.succeed("result", None, self.clock.now)
            assert work.wait(0)
            assert work.input is None
        self.running = []

    @precondition(lambda self: self.waiting or self.open)
    @rule()
    def fail_all(self) -> None:
        waited = list(self.waiting)
        assert self.queue.fail_all(lambda: Draining("stopping")) == len(waited) + len(self.open)
        assert all(isinstance(work.error, Draining) for work in waited)
        assert all(stream.ended for stream in self.open)
        self.waiting = []
        self.in_line += [stream for stream in self.queue._ring if stream not in self.in_line]

    @invariant()
    def the_depth_is_what_waits_and_never_more_than_the_size(self) -> None:
        assert len(self.queue) == len(self.waiting) <= self.SIZE
        assert self.queue.streams == len(self.open) <= self.STREAMS
        assert list(self.queue._ring) == self.in_line

    @invariant()
    def what_waits_is_neither_settled_nor_running(self) -> None:
        assert all(work.phase == "waiting" for work in self.waiting)

    @invariant()
    def what_runs_has_started_in_time(self) -> None:
        for work in self.running:
            assert work.started is not None
            assert work.enqueued <= work.started < work.deadline


QueueMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestQueueMachine = QueueMachine.TestCase


def served(queue: WorkQueue, clock: Clock, seconds: float) -> int:
    """Take a batch and be busy with it for a while."""
    batch = queue.take()
    assert isinstance(batch, list)
    clock.now += seconds
    return len(batch)


def test_callers_who_come_back_are_served_together_again() -> None:
    clock = Clock()
    queue = WorkQueue(32, 8, 0.0, clock, fill_share=0.1)
    for _ in range(4):
        assert queue.offer(Work(0, clock.now + 100))
    assert served(queue, clock, 0.2) == 4
    taken: list[int] = []
    taker = threading.Thread(target=lambda: taken.append(served(queue, clock, 0.2)))
    taker.start()
    for _ in range(4):
        assert taken == []  # the clock stands still: it waits for the last of them, however long that takes
        assert queue.offer(Work(0, clock.now + 100))
    taker.join(10)
    assert taken == [4]


def test_nobody_is_waited_for_longer_than_a_share_of_the_batch_nor_a_caller_who_was_alone() -> None:
    clock = Clock()
    queue = WorkQueue(32, 8, 0.0, clock, fill_share=0.1)
    assert queue.offer(Work(0, clock.now + 100))
    assert served(queue, clock, 0.2) == 1
    assert queue.offer(Work(0, clock.now + 100))
    assert served(queue, clock, 0.2) == 1
    for _ in range(3):
        assert queue.offer(Work(0, clock.now + 100))
    assert served(queue, clock, 0.2) == 3
    assert queue.offer(Work(0, clock.now + 100))
    queue.submit(lambda: None, urgent=True)
    assert callable(queue.take())  # the taker is back, and would wait now
    clock.now += 0.021
    assert served(queue, clock, 0.0) == 1


@pytest.mark.parametrize(("seconds", "waits"), [(0.1, 0.01), (100.0, 0.05)])
def test_the_wait_is_short_however_long_a_batch_takes(seconds: float, waits: float) -> None:
    refill = Refill(0.1)
    refill.taken(8, 0, 1000.0)
    refill.back(1000.0 + seconds)
    assert refill.until == pytest.approx(1000.0 + seconds + waits)
    refill.back(5000.0)  # from an errand, which nobody waited for
    assert refill.until < 2000.0

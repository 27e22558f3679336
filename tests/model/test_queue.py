"""The queue by itself, with its clock driven by hand."""

from __future__ import annotations

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model.errors import DeadlineExceeded, Draining
from model.queue import Work, WorkQueue
from tests.model.stage import PATIENCE


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


class QueueMachine(RuleBasedStateMachine):
    """Any order of offers, takes, abandonments and passing time keeps the queue's promises."""

    SIZE, BATCH = 5, 3

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = WorkQueue(self.SIZE, self.BATCH, 0.0, self.clock)
        self.waiting: list[Work] = []
        self.running: list[Work] = []
        self.taken: set[int] = set()

    @rule(patience=st.floats(0.5, 20.0))
    def offer(self, patience: float) -> None:
        work = Work(object(), self.clock.now + patience)
        accepted = self.queue.offer(work)
        assert accepted == (len(self.waiting) < self.SIZE)
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
        self.waiting.remove(work)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def abandon_too_late(self, data: st.DataObject) -> None:
        assert not self.queue.abandon(data.draw(st.sampled_from(self.running)))

    @rule()
    def take(self) -> None:
        def nothing() -> None: ...

        self.queue.submit(nothing, urgent=False)  # so that a take with nothing in time still returns
        turn = self.queue.take()
        in_time = [work for work in self.waiting if work.deadline > self.clock.now]
        expected = in_time[: self.BATCH]
        if not expected:
            assert turn is nothing
            assert all(isinstance(work.error, DeadlineExceeded) for work in self.waiting)
            self.waiting = []
            return
        assert turn == expected
        self.queue._idle.remove(nothing)  # the errand was not needed
        # A batch that is not full has looked at everything, and dropped what came too late.
        last = self.waiting.index(expected[-1]) if len(expected) == self.BATCH else len(self.waiting)
        self.waiting = self.waiting[last + 1 :]
        self.running += expected

    @rule()
    def settle_running(self) -> None:
        for work in self.running:
            work.succeed("result", None, self.clock.now)
            assert work.wait(0)
            assert work.input is None
        self.running = []

    @invariant()
    def the_depth_is_what_waits_and_never_more_than_the_size(self) -> None:
        assert len(self.queue) == len(self.waiting) <= self.SIZE

    @invariant()
    def what_runs_has_started_in_time(self) -> None:
        for work in self.running:
            assert work.started is not None
            assert work.enqueued <= work.started < work.deadline


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueueMachine = QueueMachine.TestCase

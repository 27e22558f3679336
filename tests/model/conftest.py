"""Hosts around a tiny real model, a meter that remembers, and waiting that is bounded and never a sleep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from config import HealthSettings, ModelSettings
from model.answer import Answer
from model.host import ModelHost
from model.subscription import Subscription
from model.terms import STANDARD, Terms
from tests.model import stage as stages
from tests.model.stage import PATIENCE, Stage


class Clock:
    """Seconds that a test moves by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Book:
    """A meter that remembers what it was told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.reloads: list[tuple[str, str]] = []
        self.rejections: list[tuple[str, str]] = []
        self.steps = 0
        self.announced: list[tuple[str, str]] = []

    def announce(self, model: str, version: str) -> None:
        self.announced.append((model, version))

    def finished(self, outcome: str, **facts: Any) -> None:
        self.outcomes.append(outcome)
        self.requests.append(facts)

    def batch(self, size: int) -> None:
        self.batches.append(size)

    def rejected(self, priority: str, reason: str) -> None:
        self.rejections.append((priority, reason))

    def streamed(self, steps: int) -> None:
        self.steps += steps

    def reloaded(self, reason: str, result: str) -> None:
        self.reloads.append((reason, result))


class Bench:
    """One host under test, with everything that a test wants to see of it."""

    def __init__(self, stage: Stage, model: dict[str, Any], health: dict[str, Any], **host: Any) -> None:
        self.stage = stage
        self.book = Book()
        self.fatal: list[str] = []
        self.progress: list[str] = []
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(16)
        self._streams: list[Subscription] = []
        settings: dict[str, Any] = {"path": "tests.model.plugin:Multiplier", "device": "cpu", "cpu_threads": 1} | model
        host.setdefault("on_change", self._note)
        self.host = ModelHost(
            ModelSettings(**settings),
            HealthSettings(**health),
            self.book,
            name="shop",
            on_fatal=self.fatal.append,
            **host,
        )

    def start(self) -> Bench:
        self.host.start()
        return self

    def ready(self) -> Bench:
        """Start, wait for ready, and forget what loading did."""
        self.start().until(lambda: self.host.status().state == "ready")
        stage = self.stage
        stage.batches.clear()
        stage.events.clear()
        _drain(stage.load_entered)
        _drain(stage.entered)
        return self

    def infer(self, number: float, terms: Terms = STANDARD) -> Answer[bytes]:
        return self.host.infer(str(float(number)).encode(), "application/json", "request-1", terms)

    def stream(self, count: int, terms: Terms = STANDARD) -> Subscription:
        """Open a stream of so many steps; closed after the test if it is not before."""
        found = self.host.stream(str(float(count)).encode(), "application/json", "request-1", terms)
        self._streams.append(found)
        return found

    def send(self, number: float, terms: Terms = STANDARD) -> Future[Answer[bytes]]:
        """Infer on another thread."""
        return self._pool.submit(self.infer, number, terms)

    def send_waiting(self, *numbers: float, terms: Terms = STANDARD) -> list[Future[Answer[bytes]]]:
        """Infer on other threads, one after the other, each known to be in the queue."""
        sent = []
        for number in numbers:
            depth = self.host.status().queue_depth
            sent.append(self.send(number, terms))
            self.until(lambda depth=depth: self.host.status().queue_depth > depth)  # type: ignore[misc]
        return sent

    def occupy(self, number: float = 0.0) -> Future[Answer[bytes]]:
        """Have the model thread held inside predict."""
        _drain(self.stage.entered)
        self.stage.gate.clear()
        future = self.send(number)
        assert self.stage.entered.acquire(timeout=PATIENCE)
        return future

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; changes of state wake it at once, what has no callback is looked at every 2 ms."""
        with self._changed:
            for _ in range(int(PATIENCE / 0.002)):
                if condition():
                    return
                self._changed.wait(0.002)
        raise AssertionError(f"never came true; status: {self.host.status()}")

    def close(self) -> None:
        self.stage.gate.set()
        self.stage.load_gate.set()
        for stream in self._streams:
            stream.close()
        self.host.stop(PATIENCE)
        self._pool.shutdown()

    def _note(self) -> None:
        progress = self.host.status().progress
        if progress and progress not in self.progress[-1:]:
            self.progress.append(progress)
        with self._changed:
            self._changed.notify_all()


def _drain(semaphore: threading.Semaphore) -> None:
    """Forget what was counted so far."""
    while semaphore.acquire(blocking=False):
        pass


@pytest.fixture
def stage() -> Stage:
    return stages.reset()


@pytest.fixture
def bench(stage: Stage) -> Iterator[Callable[..., Bench]]:
    """``bench(batch_size=4, health={...}, disabled=...)`` makes a host that is stopped after the test."""
    made: list[Bench] = []

    def make(*, health: dict[str, Any] | None = None, host: dict[str, Any] | None = None, **model: Any) -> Bench:
        made.append(Bench(stage, model, health or {}, **(host or {})))
        return made[-1]

    yield make
    for each in made:
        each.close()

"""The watches beside each other: one that fails costs its own series only, and nobody watches without a target."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.sample import Tick
from config import Settings
from storage.engine import open_database
from storage.error import StorageError
from storage.record import AuditLog
from targets.build import build
from targets.watcher import Watcher
from tests.running import eventually

T0 = 1_795_000_000_000


class Stage:
    """A watcher over a real database, its clock, and what it announced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_ms = T0
        self.announced: list[list[str]] = []
        self.database = open_database(folder / "wakeless.db")
        self._made: list[Watcher] = []

    def watcher(self, *targets: dict[str, Any]) -> Watcher:
        watcher = build(
            Settings.model_validate({"data_dir": self.folder, "targets": list(targets)}),
            self.database,
            clock_ms=lambda: self.now_ms,
            audit=AuditLog(self.database),
            seal=str.encode,
            unseal=bytes.decode,
            unreadable=ValueError,
            muted=lambda labels, now_ms: (),
            forbidden=None,
            on_profiles=self.announced.append,
        )
        self._made.append(watcher)
        return watcher

    def close(self) -> None:
        for watcher in self._made:
            watcher.stop()
        self.database.dispose()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    one = Stage(tmp_path)
    yield one
    one.close()


def test_without_targets_there_are_no_threads_and_no_series(stage: Stage) -> None:
    before = threading.active_count()
    watcher = stage.watcher()
    watcher.start()
    assert threading.active_count() == before
    assert [tick for tick in watcher.collect(T0) if tick.samples] == []
    assert watcher.latest() == []


def test_a_watch_that_fails_costs_its_own_series_only(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stage.folder / "a.log"
    log.write_text("Out of memory\n")
    watcher = stage.watcher({"name": "one", "log": {"path": str(log), "profile": "comfyui", "begin": "start"}})

    def broken(now_ms: int) -> list[Tick]:
        raise RuntimeError("a defect")

    monkeypatch.setattr(watcher.prober, "collect", broken)
    watcher.start()

    def lines() -> list[float]:
        stage.now_ms += 1000
        watcher.collect(stage.now_ms)
        return [sample.value for sample in watcher.latest() if sample.name == "log_lines_total"]

    eventually(lambda: lines() == [1], what="the line, though the prober is broken")


def test_what_is_scraped_is_not_told_as_ours_but_its_profile_is_announced_once(stage: Stage) -> None:
    scrape = {"url": "http://127.0.0.1:9/metrics", "interval": "1s", "profile": "node"}
    watcher = stage.watcher({"name": "machine", "scrape": scrape})
    watcher.start()
    watcher.refresh()
    assert stage.announced == [["node"]]

    def scraped() -> list[Tick]:
        stage.now_ms += 1000
        return [tick for tick in watcher.collect(stage.now_ms) if any(sample.name == "up" for sample in tick.samples)]

    eventually(scraped, what="word of a scrape")
    assert not [sample for sample in watcher.latest() if sample.name == "up"]


def test_a_roster_that_cannot_be_read_leaves_things_as_they_are(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = stage.watcher({"name": "one", "push": {"every": "1m"}})
    watcher.start()
    assert [state.target for state in watcher.prober.states()] == ["one"]

    def locked() -> list[Any]:
        raise StorageError("the database is locked", permanent=False)

    monkeypatch.setattr(watcher.roster, "targets", locked)
    watcher.refresh()
    assert [state.target for state in watcher.prober.states()] == ["one"]


def test_who_reads_the_roster_late_does_not_undo_what_was_added_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = stage.watcher({"name": "one", "push": {"every": "1m"}})
    watcher.start()
    has_read, goes_on, read = threading.Event(), threading.Event(), watcher.roster.targets

    def slow() -> list[Any]:
        found = read()
        if threading.current_thread().name == "late":
            has_read.set()
            goes_on.wait(0.5)  # whoever waits for this one's turn lets it run out
        return found

    monkeypatch.setattr(watcher.roster, "targets", slow)
    late = threading.Thread(target=watcher.refresh, name="late")
    late.start()
    assert has_read.wait(30)
    watcher.roster.add({"name": "two", "push": {"every": "1m"}}, "ada", T0)
    goes_on.set()
    late.join(30)
    assert [state.target for state in watcher.prober.states()] == ["one", "two"]


def test_profiles_that_could_not_be_taken_are_announced_again(stage: Stage) -> None:
    scrape = {"url": "http://127.0.0.1:9/metrics", "interval": "1h", "profile": "node"}
    watcher = stage.watcher({"name": "machine", "scrape": scrape})
    announced: list[list[str]] = []

    def take(names: list[str]) -> None:
        announced.append(names)
        if len(announced) == 1:
            raise OSError("too many open files")

    watcher._on_profiles = take
    watcher.start()
    watcher.refresh()
    watcher.refresh()
    assert announced == [["node"], ["node"]]

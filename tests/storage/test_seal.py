"""Sealing takes no longer turn than a tick can wait for, however much there is to seal."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, event

from collectors.sample import Sample, Tick
from storage.block import PORTION_BYTES
from storage.engine import open_database
from storage.series import SeriesStore

T0 = 1_795_000_000_000
SERIES, SECONDS = 60, 1500


class Transactions:
    """What each write transaction of an engine writes: rows and the bytes in them."""

    def __init__(self, engine: Engine) -> None:
        self.rows: list[int] = []
        self.bytes: list[int] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            self.rows.append(0)
            self.bytes.append(0)
        elif statement.startswith(("INSERT", "UPDATE", "DELETE")):
            rows = parameters if isinstance(parameters, list) else [parameters]
            self.rows[-1] += len(rows)
            self.bytes[-1] += sum(len(value) for row in rows for value in row if isinstance(value, bytes))


@pytest.fixture
def full(store: SeriesStore) -> SeriesStore:
    """A store with so much noise to seal that it fills many transactions."""
    noise = np.random.default_rng(1).random((SECONDS, SERIES))
    names = [f"series_{number}" for number in range(SERIES)]
    for second, values in enumerate(noise):
        samples = tuple(Sample(name, (), value) for name, value in zip(names, values.tolist(), strict=True))
        store.append([Tick("host", T0 + second * 1000, samples)])
    return store


def test_each_transaction_of_sealing_writes_little(full: SeriesStore, engine: Engine) -> None:
    seen = Transactions(engine)
    full.seal(everything=True)
    chunk = 8 * SECONDS + 1000  # noise does not become smaller
    assert sum(seen.bytes) > 4 * PORTION_BYTES
    assert max(seen.bytes) <= PORTION_BYTES + chunk
    assert max(seen.rows) <= PORTION_BYTES // (chunk // 2) + 10
    assert seen.rows[-1] < 10  # what makes them count: blocks and facts, no chunk


def test_ticks_that_come_while_history_is_sealed_get_their_turn_between_two_transactions(
    full: SeriesStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that need the database, because they bring a new series."""
    turns: list[int] = []

    def tick(_seconds: float) -> None:
        number = len(turns)
        turns.append(number)
        full.append([Tick("other", T0 + number, (Sample(f"new_{number}", (), 1.0),))])

    monkeypatch.setattr("storage.block.time.sleep", tick)
    seen = Transactions(engine)
    full.seal(everything=True)
    assert len(turns) >= 4
    assert len(seen.rows) > 2 * len(turns)  # each of them had a transaction of its own
    found = {dict(series.labels)["__name__"] for series in full.select([], T0, T0 + 999)}
    assert found >= {f"new_{number}" for number in turns}


def test_no_tick_waits_for_a_database_that_is_being_sealed_into(full: SeriesStore, engine: Engine) -> None:
    """While a transaction is under way and does not come to an end, ticks of known series are written all the same."""
    inside, done = threading.Event(), threading.Event()

    def hold(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO chunks") and not inside.is_set():
            inside.set()
            assert done.wait(30)

    event.listen(engine, "before_cursor_execute", hold)
    sealing = threading.Thread(target=full.seal, kwargs={"everything": True})
    sealing.start()
    assert inside.wait(30)
    names = [f"series_{number}" for number in range(SERIES)]
    for second in range(SECONDS, SECONDS + 10):
        full.append([Tick("host", T0 + second * 1000, tuple(Sample(name, (), 1.0) for name in names))])
    assert full.last_tick_ms() == T0 + (SECONDS + 9) * 1000
    done.set()
    sealing.join()
    (series,) = (one for one in full.select([], T0, T0 * 2) if dict(one.labels)["__name__"] == "series_0")
    assert len(series.times) == SECONDS + 10


def test_only_what_makes_blocks_count_waits_for_the_disk(
    full: SeriesStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit brings all that was written before to the disk; until then nothing of it counts."""
    monkeypatch.setattr("storage.engine.SYNCHRONOUS", "FULL")
    engine.dispose()
    modes: dict[str, set[int]] = {}

    def note(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            (mode,) = driver.execute("PRAGMA synchronous").fetchone()
            modes.setdefault(" ".join(statement.split()[:3]), set()).add(mode)

    event.listen(engine, "before_cursor_execute", note)
    full.seal(everything=True)
    normal, always = 1, 2
    assert modes["INSERT INTO chunks"] == {normal}
    assert modes["UPDATE blocks SET"] == {always}
    assert modes["INSERT OR REPLACE"] == {always}


def test_before_the_store_is_loaded_there_is_nothing_to_seal(path: Path) -> None:
    """The job may come before the first tick."""
    database = open_database(path)
    assert SeriesStore(database).seal() == 0
    database.dispose()

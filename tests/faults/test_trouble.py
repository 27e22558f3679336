"""What a whole server does when its disk or its database fails under it. In this process; time is driven by hand.

For each cause: predictions go on, page, gauge and alert say it, nothing that was safe is lost, and it ends by itself.
``test_disk`` does the same to real processes on a real disk.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from collectors.sample import Matcher, Sample, Tick, make_labels, stale_mask
from config import Settings
from server import Application
from storage.aside import journal_folder
from storage.engine import PAGE_BYTES, hurried, open_database
from storage.series import SeriesStore
from tests.running import eventually

T0 = 1_795_248_000_000  # 2026-11-21T08:00:00Z


class Patient:
    """A server whose ticks come when they are asked for, a second apart."""

    def __init__(self, folder: Path, *, header: dict[str, str] | None = None, now_ms: int = T0, **storage: Any) -> None:
        settings = {
            "data_dir": folder,
            "log": {"file": False},
            "model": {"path": "tests.faults.slow:SlowModel"},
            "storage": storage,
        }
        self.path = folder / "wakeless.db"
        self.now_ms = now_ms
        self.moments: list[int] = []
        self.application = Application(Settings.model_validate(settings))
        self.rooms = self.application.services
        self.client = self.application.flask.test_client()
        self.rooms.model.start()
        eventually(lambda: self.rooms.model.status().state == "ready", what="the model")
        self.application.pulse.clock = lambda: self.now_ms
        self.beat(1)
        self.header = header or {"Authorization": f"Bearer {self.rooms.accounts.create_token('test', 'viewer')}"}

    def beat(self, count: int) -> None:
        """So many seconds of the server's life."""
        for _ in range(count):
            self.now_ms += 1000
            self.moments.append(self.now_ms)
            self.application.pulse.beat()
            self.application._guard()

    def predicts(self) -> bool:
        return self.client.post("/predict", json={"seconds": 0}).status_code == 200

    def told(self) -> dict[str, str]:
        """What the page says is wrong: kinds and what to do."""
        answer = self.client.get("/api/storage", headers=self.header)
        assert answer.status_code == 200, answer.text
        return {problem["kind"]: problem["advice"] for problem in answer.get_json()["problems"]}

    def firing(self) -> set[str]:
        """The alerts that fire, as the page has them."""
        answer = self.client.get("/api/alerts", headers=self.header)
        assert answer.status_code == 200, answer.text
        return {alert["rule"] for alert in answer.get_json()["alerts"] if alert["state"] == "firing"}

    def gauge(self, kind: str) -> float:
        """What a rule sees at this moment."""
        found = self.rooms.query.instant(f'wakeless_storage_problem{{kind="{kind}"}}', self.now_ms)
        return float(found.values[0])  # type: ignore[union-attr]

    def seen(self) -> list[int]:
        """The moments that queries see."""
        return moments(self.rooms.store)

    def on_the_disk(self) -> list[int]:
        """The moments that a reader of the files finds, as after a kill."""
        database = open_database(self.path)
        store = SeriesStore(database)
        store.attach()
        found = moments(store)
        database.dispose()
        return found


def moments(store: SeriesStore) -> list[int]:
    (series,) = store.select([Matcher("__name__", "=", "process_threads")], T0, T0 * 2)
    times: list[int] = series.times[~stale_mask(series.values)].tolist()
    return times


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for in real time is not waited for here."""
    monkeypatch.setattr("storage.problem._CALM_SECONDS", 0.0)
    monkeypatch.setattr("storage.problem._LOCKED_SECONDS", 0.0)
    monkeypatch.setattr("storage.registrar._RETRY_SECONDS", 0.0)
    monkeypatch.setattr("storage.guardian._PROBE_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("pulse.PATIENCE_SECONDS", 0.0)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    made = Patient(tmp_path / "data")
    yield made
    made.application.close()


Trouble = Callable[[Patient, pytest.MonkeyPatch], AbstractContextManager[None]]


def refusing(number: int, pragma: str, undo: str) -> Trouble:
    """A disk that takes nothing: the journal gets this error, and SQLite the like of it."""

    @contextmanager
    def refuse(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        def refused(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        def limit(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(pragma)

        with monkeypatch.context() as disk:
            disk.setattr(os, "pwrite", refused)
            event.listen(patient.rooms.database, "checkout", limit)
            yield
        event.remove(patient.rooms.database, "checkout", limit)
        event.listen(patient.rooms.database, "checkout", lambda connection, *_: connection.execute(undo))

    return refuse


@contextmanager
def locked(patient: Patient, _monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another program that has begun to write and does not come to an end."""
    with closing(sqlite3.connect(patient.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("trouble", "kind", "alert"),
    [
        (
            refusing(errno.ENOSPC, "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823"),
            "disk_full",
            "HistoryNotWritten",
        ),
        (refusing(errno.EROFS, "PRAGMA query_only = ON", "PRAGMA query_only = OFF"), "read_only", "HistoryNotWritten"),
        (refusing(errno.EIO, "PRAGMA query_only = OFF", "PRAGMA query_only = OFF"), "disk_error", "HistoryNotWritten"),
        (locked, "locked", "DatabaseLocked"),
    ],
    ids=["disk_full", "read_only", "disk_error", "locked"],
)
def test_a_trouble_that_passes_costs_nothing(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, trouble: Trouble, kind: str, alert: str
) -> None:
    patient.beat(10)
    assert patient.told() == {}
    with trouble(patient, monkeypatch):
        new = Tick("new", patient.now_ms + 500, (Sample("new_series", make_labels(kind=kind), 1.0),))
        with hurried(0.0):
            patient.rooms.store.append([new])  # a series that needs the database: it waits, or it finds room
        patient.beat(25)
        assert patient.predicts()
        assert patient.told()[kind].strip()
        assert patient.gauge(kind) == 1
        assert patient.firing() == {alert}
        assert patient.seen() == patient.moments
        safe = patient.on_the_disk()
        assert safe == patient.moments[: len(safe)]
        assert len(safe) >= 11
        assert kind == "locked" or patient.rooms.store.waiting > 0
    patient.beat(60)
    assert patient.told() == {}
    assert patient.gauge(kind) == 0
    assert patient.firing() == set()
    assert patient.rooms.store.waiting == 0
    assert patient.on_the_disk() == patient.seen() == patient.moments
    later = patient.rooms.alerts.history(T0, patient.now_ms)
    assert [(one.rule, one.state) for one in later] == [(alert, "resolved")]  # and its row was written afterwards
    with patient.rooms.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT rule, state FROM alerts").fetchall()
    assert [tuple(row) for row in rows] == [(alert, "resolved")]
    assert patient.rooms.store.dropped == 0


def test_a_server_that_starts_while_another_program_holds_the_database_serves_and_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Patient(tmp_path / "data")
    first.beat(5)
    first.application.close()
    with locked(first, monkeypatch):
        second = Patient(tmp_path / "data", header=first.header, now_ms=first.now_ms)
        second.beat(20)
        assert second.predicts()
        assert set(second.told()) == {"locked"}
        assert second.firing() == {"DatabaseLocked"}
    second.beat(40)
    assert second.told() == {}
    assert set(second.moments) <= set(second.on_the_disk())
    second.application.close()


def test_one_unreadable_chunk_is_a_hole_and_an_alert(patient: Patient) -> None:
    patient.beat(20)
    patient.rooms.store.seal(everything=True)
    patient.rooms.store._timeline.trim(0)  # let the file answer
    with patient.rooms.database.begin() as connection:
        (spoiled,) = connection.exec_driver_sql("SELECT id FROM series WHERE name = 'process_threads'").scalars()
        connection.exec_driver_sql(
            "UPDATE chunks SET \"values\" = x'00' WHERE id & 0xFFFFFFFF = ? AND id >> 32 > 0", (spoiled,)
        )
    found = patient.rooms.store.select([Matcher("__name__", "=~", "process_.*")], T0, T0 * 2)
    assert len(found) >= 3
    assert "process_threads" not in {dict(series.labels)["__name__"] for series in found}
    patient.beat(10)
    assert patient.predicts()
    assert set(patient.told()) == {"chunks_unreadable"}
    assert patient.firing() == {"DatabaseDamaged"}
    assert patient.seen() == patient.moments[21:]  # what is written now is read


def test_a_torn_page_is_told_and_the_next_start_begins_a_new_file(tmp_path: Path) -> None:
    """The old one is kept with its time in the name; what is readable of it is in the new one."""
    first = Patient(tmp_path / "data")
    first.beat(20)
    first.rooms.store.seal(everything=True)
    first.application.close()
    with closing(sqlite3.connect(first.path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'tokens'").fetchone()
    with first.path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)
    second = Patient(tmp_path / "data", now_ms=first.now_ms)
    second.beat(10)
    (aside,) = (one for one in second.path.parent.glob("wakeless.db.damaged-*") if one.name.endswith("Z"))
    assert second.predicts()
    assert set(second.told()) == {"database_moved_aside"}
    assert second.firing() == {"DatabaseDamaged"}
    (problem,) = second.rooms.store.problems.current()
    assert aside.name in problem.detail
    while second.application.salvage.step():
        pass
    assert set(first.moments) <= set(second.seen())
    (alert,) = second.rooms.alerts.current()
    second.rooms.alerts.acknowledge(alert.id, "anna", "seen", second.now_ms)
    second.beat(10)
    assert second.told() == {}
    assert second.firing() == set()
    second.application.close()


@pytest.mark.parametrize("companions", [False, True], ids=["alone", "with its log"])
def test_a_deleted_database_is_written_anew_and_loses_nothing(patient: Patient, companions: bool) -> None:
    patient.beat(20)
    patient.rooms.store.seal(everything=True)
    patient.path.unlink()
    for name in ("wakeless.db-wal", "wakeless.db-shm") if companions else ():
        (patient.path.parent / name).unlink()
    patient.beat(10)
    assert patient.predicts()
    assert set(patient.told()) == {"database_missing"}
    assert patient.firing() == {"DataFolderTouched"}
    assert patient.on_the_disk() == patient.seen() == patient.moments
    with closing(sqlite3.connect(patient.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT name FROM tokens").fetchall() == [("test",)]
    assert patient.path.stat().st_mode & 0o777 == 0o600


def test_a_deleted_log_costs_nothing(patient: Patient) -> None:
    patient.beat(5)
    (patient.path.parent / "wakeless.db-wal").unlink()
    patient.beat(5)
    assert patient.predicts()
    assert patient.on_the_disk() == patient.seen() == patient.moments
    with closing(sqlite3.connect(patient.path)) as connection:
        assert connection.execute("SELECT name FROM tokens").fetchall() == [("test",)]


def test_a_deleted_journal_is_sealed_from_memory_and_begun_anew(patient: Patient) -> None:
    patient.beat(20)
    shutil.rmtree(journal_folder(patient.path))
    patient.beat(10)
    assert patient.predicts()
    assert set(patient.told()) == {"journal_missing"}
    assert patient.firing() == {"DataFolderTouched"}
    assert patient.on_the_disk() == patient.seen() == patient.moments


def test_a_database_that_was_replaced_is_taken_at_the_next_start_and_the_held_one_is_kept(
    patient: Patient, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    open_database(other).dispose()
    patient.beat(5)
    os.rename(other, patient.path)
    patient.beat(10)
    assert patient.predicts()
    assert set(patient.told()) == {"database_replaced"}
    assert patient.firing() == {"DataFolderTouched"}
    assert patient.seen() == patient.moments
    patient.application.close()
    (kept,) = patient.path.parent.glob("wakeless.db.replaced-*")
    kept.rename(tmp_path / "kept.db")
    database = open_database(tmp_path / "kept.db")
    store = SeriesStore(database)
    store.attach()
    assert moments(store) == patient.moments
    database.dispose()


def test_a_label_gone_wild_is_capped_with_an_alert_that_names_it(tmp_path: Path) -> None:
    patient = Patient(tmp_path / "data", max_series_per_metric=100, max_series=100_000)
    patient.beat(2)
    for second in range(12):
        users = [make_labels(user=10 * second + one, method="GET") for one in range(20)]
        wild = Tick("wild", patient.now_ms + 1, tuple(Sample("http_requests_total", user, 1.0) for user in users))
        patient.rooms.store.append([wild, Tick("tame", patient.now_ms + 1, (Sample("tame", (), float(second)),))])
        patient.beat(1)
    (tame,) = patient.rooms.store.select([Matcher("__name__", "=", "tame")], T0, T0 * 2)
    assert tame.values.tolist() == [float(second) for second in range(12)]
    with patient.rooms.database.connect() as connection:
        query = "SELECT count(*) FROM series WHERE name = 'http_requests_total'"
        assert connection.exec_driver_sql(query).scalar() == 100
    assert patient.predicts()
    assert set(patient.told()) == {"series_refused"}
    patient.beat(5)
    (alert,) = patient.rooms.alerts.current()
    assert (alert.rule, alert.labels["metric"], alert.labels["label"]) == (
        "TooManySeries", "http_requests_total", "user",
    )  # fmt: skip
    patient.application.close()

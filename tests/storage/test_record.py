from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, insert
from structlog.testing import capture_logs

from storage.error import StorageError
from storage.record import AuditLog, RequestEntry, RequestLog, expire_records
from storage.tables import AlertRow, LoginLinkRow

T0 = 1_795_000_000_000


def entry(number: int, outcome: str = "ok", **more: Any) -> RequestEntry:
    return RequestEntry(
        request_id=f"r{number}",
        time_ms=T0 + number,
        status=200,
        outcome=outcome,
        model="card",
        version="1",
        total_seconds=0.25,
        **more,
    )


def test_requests_are_in_the_file_after_a_flush_newest_first(engine: Engine) -> None:
    log = RequestLog(engine)
    full = entry(
        1, "error", result_class="id_card", queue_seconds=0.1, compute_seconds=0.0, input={"width": 3}, error="x"
    )
    log.add(full)
    log.add(entry(2))
    assert log.recent(10) == []
    assert log.flush() == 2
    assert log.flush() == 0
    assert log.recent(10) == [entry(2), replace(full, fingerprint="x")]
    assert log.recent(1) == [entry(2)]


def test_requests_are_found_by_outcome_and_by_id(engine: Engine) -> None:
    log = RequestLog(engine)
    for number in range(6):
        log.add(entry(number, "ok" if number % 2 else "oom"))
    log.flush()
    assert [found.request_id for found in log.recent(10, outcome="oom")] == ["r4", "r2", "r0"]
    assert log.recent(10, request_id="r3") == [entry(3)]
    assert log.recent(10, outcome="oom", request_id="r3") == []


def test_requests_wait_while_the_database_cannot_take_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RequestLog(engine)
    log.add(entry(1))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE requests RENAME TO elsewhere")
    with pytest.raises(StorageError):
        log.flush()
    log.add(entry(2))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO requests")
    assert log.flush() == 2
    assert [found.request_id for found in log.recent(5)] == ["r2", "r1"]


def test_requests_wait_while_another_thread_writes_for_too_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine.WRITER_WAIT_SECONDS", 0.01)
    log = RequestLog(engine)
    log.add(entry(1))
    with engine.begin(), pytest.raises(StorageError, match="no turn to write"):
        log.flush()
    assert log.flush() == 1
    assert log.dropped == 0


def test_only_so_many_requests_wait_and_the_newest_are_kept(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.record.MOST_WAITING", 3)
    log = RequestLog(engine)
    for number in range(5):
        log.add(entry(number))
    assert log.flush() == 3
    assert log.dropped == 2
    assert [found.request_id for found in log.recent(5)] == ["r4", "r3", "r2"]


def test_an_entry_that_can_never_be_written_does_not_block_the_next(engine: Engine) -> None:
    log = RequestLog(engine)
    log.add(replace(entry(1), time_ms=1 << 70))
    with pytest.raises(OverflowError):
        log.flush()
    log.add(entry(2))
    assert log.flush() == 1
    assert log.dropped == 1


def test_whatever_a_plug_in_says_about_its_input_can_be_kept(engine: Engine) -> None:
    log = RequestLog(engine)
    endless: dict[str, Any] = {}
    endless["itself"] = endless
    log.add(entry(1, input={"width": np.int64(640), "at": Path("a/b"), 3: float("nan")}))
    log.add(entry(2, input=endless))
    log.flush()
    second, first = log.recent(2)
    assert first.input == {"width": 640, "at": "a/b", "3": None}
    assert list(second.input) == ["unreadable"]


def test_no_request_is_lost_or_doubled_when_many_threads_add(engine: Engine) -> None:
    log = RequestLog(engine)

    def add(first: int) -> None:
        for number in range(first, first + 50):
            log.add(entry(number))

    threads = [threading.Thread(target=add, args=(first,)) for first in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    flushed = 0
    while any(thread.is_alive() for thread in threads):
        flushed += log.flush()
    flushed += log.flush()
    assert flushed == 400
    assert len({found.request_id for found in log.recent(1000)}) == 400


def test_audit_entries_are_kept_in_order(engine: Engine) -> None:
    log = AuditLog(engine)
    log.add(T0 + 1, "anna", "alert.ack", "GPUHot", {"reason": "known"})
    log.add(T0, "ben", "login")
    log.add(T0 + 9, "anna", "model.reload")
    found = log.between(T0, T0 + 1)
    assert [(line.actor, line.action, line.target, line.detail) for line in found] == [
        ("ben", "login", "", {}),
        ("anna", "alert.ack", "GPUHot", {"reason": "known"}),
    ]


def test_what_should_not_fail_for_want_of_a_record_is_in_the_log_instead(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine.WRITER_WAIT_SECONDS", 0.0)
    log = AuditLog(engine)
    with engine.begin(), capture_logs() as logs:
        log.note(T0, "anna", "login", "session", {"peer": "::1"})
        with pytest.raises(StorageError):
            log.add(T0, "anna", "model.reload")
    assert [(line["event"], line["actor"], line["action"]) for line in logs] == [("audit_not_written", "anna", "login")]
    log.note(T0, "anna", "login")
    assert [line.actor for line in log.between(T0, T0)] == ["anna"]


def alert(state: str, at: int) -> dict[str, Any]:
    return {
        "fingerprint": "f", "rule": "r", "group": "g", "state": state, "severity": "warning", "level": 1, "labels": {},
        "annotations": {}, "active_ms": at, "seen_ms": at, "resolved_ms": at if state == "resolved" else None,
    }  # fmt: skip


def test_old_records_go_and_what_is_open_stays(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.record._ROWS", 2)
    log, audit = RequestLog(engine), AuditLog(engine)
    for number in range(10):
        log.add(entry(number))
        audit.add(T0 + number, "anna", "login")
    log.flush()
    with engine.begin() as connection:
        connection.execute(insert(AlertRow), [alert("resolved", T0), alert("firing", T0), alert("resolved", T0 + 9)])
        connection.execute(insert(LoginLinkRow), {"link_hash": "x", "user": "anna", "expires_ms": T0})
    assert expire_records(engine, T0 + 5) == 5 + 5 + 1 + 1
    assert len(log.recent(20)) == len(audit.between(0, T0 * 2)) == 5
    with engine.connect() as connection:
        states = connection.exec_driver_sql("SELECT state FROM alerts ORDER BY id").scalars().all()
        assert states == ["firing", "resolved"]
    assert expire_records(engine, T0 + 5) == 0

"""Nothing that is secret is in the bundle, wherever it was planted; and it is of use all the same."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

import reports.bundle as module
from collectors.sample import Sample, Tick
from config import Settings
from config_target import TargetSettings
from ledger import Exit, Ledger
from reports.bundle import Sources, write_bundle
from storage.engine import Database, open_database
from storage.record import AuditLog
from storage.series import SeriesStore
from storage.tables import AlertRow, LogEventRow, TargetOutageRow

T0 = 1_795_000_000_000
#: None of this may come out. Each was put somewhere by :func:`sources`.
PLANTED = (
    "hunter2-of-the-admin", "channelTokenAbc123456", "heartbeatUuid-998877", "targetPassword77", "bearerTokenOfTarget1",
    "headerApiKey4455", "queryToken8899", "bodySecretValue3", "commandSecretArg5", "pageTargetSecret6", "urlUserPass7",
    "sk-abcdefghijklmnopqrstuvwx", "loggedBearer12345678", "/srv/models/secret", "10.20.30.40", "db.internal",
    "ann@example.com", "Annabelle", "passwordInLog99", "/home/ann", "192.168.7.7", "auditSecret4433",
)  # fmt: skip


def settings(data_dir: Path) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": data_dir,
            "admin_password": "hunter2-of-the-admin",
            "alerts": {"channels": ["tgram://channelTokenAbc123456/1234"]},
            "supervisor": {"heartbeat_url": "https://hc-ping.com/heartbeatUuid-998877"},
            "targets": [
                {
                    "name": "comfyui",
                    "http": {
                        "url": "http://bob:urlUserPass7@10.20.30.40:8188/queue?token=queryToken8899",
                        "username": "Annabelle",
                        "password": "targetPassword77",
                        "bearer_token": "bearerTokenOfTarget1",
                        "headers": {"X-Key": "headerApiKey4455"},
                        "body": "key=bodySecretValue3",
                    },
                    "log": {"path": "/srv/models/secret/x.log"},
                    "remedies": [{"command": ["/home/ann/restart.sh", "--key", "commandSecretArg5"]}],
                }
            ],
        }
    )


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    database: Database = open_database(tmp_path / "wakeless.db")
    store = SeriesStore(database)
    store.load()
    store.append(
        [Tick("host", T0 - 600_000, (Sample("cpu_utilization_ratio", (), 0.5), Sample("up", (("job", "card"),), 1.0)))]
    )
    store.append(
        [Tick("fs", T0 - 600_000, (Sample("filesystem_used_ratio", (("mountpoint", "/srv/models/secret"),), 0.9),))]
    )
    audit = AuditLog(database)
    audit.add(T0, "Annabelle", "login", "", {"peer": "10.20.30.40"})
    audit.add(T0, "Annabelle", "model.reload", "card", {"reason": "token=auditSecret4433"})
    row = {
        "fingerprint": "f", "rule": "Slow", "group": "g", "state": "firing", "severity": "warning", "level": 2,
        "labels": {"instance": "db.internal"}, "annotations": {"summary": "see /srv/models/secret/a"}, "active_ms": T0,
        "firing_ms": T0, "seen_ms": T0, "ack_by": "Annabelle", "ack_reason": "I am ann@example.com", "ack_ms": T0,
    }  # fmt: skip
    event = {
        "target": "comfyui", "source": "x", "pattern": "p", "level": 2, "fingerprint": "f", "first_ms": T0,
        "last_ms": T0, "count": 1, "text": "key sk-abcdefghijklmnopqrstuvwx", "context": ["at 192.168.7.7"],
    }  # fmt: skip
    outage = {
        "target": "comfyui",
        "probe": "http",
        "reason": "10.20.30.40 refused",
        "started_ms": T0,
        "detected_ms": T0,
    }
    with database.begin() as connection:
        connection.execute(insert(AlertRow).values(row))
        connection.execute(insert(LogEventRow).values(event))
        connection.execute(insert(TargetOutageRow).values(outage))
    Ledger(tmp_path).append(
        Exit("crash", "died in /home/ann/x.py", T0, T0, 1, detail={"stderr": "password=passwordInLog99"})
    )
    lines: list[dict[str, Any]] = [
        {"event": "call", "headers": {"Authorization": "Bearer loggedBearer12345678"}, "path": "/srv/models/secret"},
        {"event": "password=passwordInLog99 for ann@example.com", "peer": "192.168.7.7", "level": "error"},
        {"event": "sent channelTokenAbc123456 and headerApiKey4455 plainly", "actor": "Annabelle"},
        {"event": "request", "request_id": "r1", "route": "/predict", "status": 200},
    ]
    (tmp_path / "wakeless.log").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    page = TargetSettings.model_validate(
        {"name": "page", "http": {"url": "http://127.0.0.1/", "bearer_token": "pageTargetSecret6"}}
    )
    live = {"health": lambda: {"live": True, "reason": "no /srv/models/secret"}}
    yield Sources(settings(tmp_path), database, store, T0, live=live, more_settings=lambda: [page], check=True)
    store.close()
    database.dispose()


def unpacked(sources: Sources) -> dict[str, str]:
    file = io.BytesIO()
    write_bundle(file, sources)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_nothing_that_was_planted_is_in_it(sources: Sources) -> None:
    parts = unpacked(sources)
    found = [(secret, name) for secret in PLANTED for name, text in parts.items() if secret in text]
    assert found == []
    assert not [name for name, text in parts.items() if "could not be had" in text]


def test_what_helps_is_in_it(sources: Sources) -> None:
    parts = unpacked(sources)
    about, shown = orjson.loads(parts["about.json"]), orjson.loads(parts["settings.json"])
    assert about["libraries"]["Flask"]
    assert (shown["admin_password"], shown["targets"][0]["http"]["password"]) == ("(hidden)", "(hidden)")
    assert shown["targets"][0]["name"] == "comfyui"
    assert shown["model"]["deadline_seconds"] == sources.settings.model.deadline_seconds
    assert shown["targets_of_the_page"][0]["name"] == "page"
    database = orjson.loads(parts["database.json"])
    assert (database["schema"], database["quick_check"]) == ("0004", ["ok"])
    rows = list(csv.reader(io.StringIO(parts["metrics.csv"])))
    assert ["cpu_utilization_ratio", "0.5"] in [row[1:] for row in rows]
    assert orjson.loads(parts["alerts.json"])[0]["rule"] == "Slow"
    assert orjson.loads(parts["exits.json"])[0]["reason"] == "crash"
    actors = {entry["actor"] for entry in orjson.loads(parts["audit.json"])}
    assert actors == {"person-1"}
    assert '"route":"/predict"' in parts["log.jsonl"]
    for name in parts:
        assert name == "README.txt" or name in parts["README.txt"]


def test_a_part_that_cannot_be_had_leaves_the_others_alone(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(sources: Sources) -> dict[str, Any]:
        raise RuntimeError("no")

    monkeypatch.setattr(module, "_host", broken)
    with capture_logs() as logs:
        parts = unpacked(sources)
    assert [one["event"] for one in logs] == ["bundle_part_failed"]
    assert "could not be had" in parts["README.txt"]
    assert "about.json" in parts


def test_no_part_is_larger_than_its_bound(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART", 200)
    parts = unpacked(sources)
    assert all(len(text) <= 200 for name, text in parts.items() if name != "README.txt")
    assert "cut short" in parts["README.txt"]

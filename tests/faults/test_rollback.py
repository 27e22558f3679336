"""A version that is deadly to load ends in safe mode, and out of it a person goes back to the last good one."""

from __future__ import annotations

import json
from pathlib import Path

from ledger import Ledger
from tests.faults.test_crash_loop import in_safe_mode
from tests.running import RunningServer, eventually

CODE = """
import ctypes

from model import Model

class Shop(Model):
    name = "shop"

    def load(self, device):
        if {deadly}:
            ctypes.string_at(0)

    def predict(self, batch):
        return [dict(version={version}) for _ in batch]
"""


def put(folder: Path, version: int, *, deadly: bool) -> None:
    place = folder / str(version)
    place.mkdir(parents=True)
    (place / "model.py").write_text(CODE.format(version=version, deadly=deadly))


def test_a_deadly_version_is_left_out_and_a_rollback_brings_the_last_good_one_back(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "shop"
    put(folder, 1, deadly=False)
    server = RunningServer(
        tmp_path / "data",
        MODEL__PATH=folder,
        MODEL__DEVICE="cpu",
        SUPERVISOR__CRASH_LOOP_COUNT=2,
        SUPERVISOR__BACKOFF_SECONDS=0.1,
        AUTH__ANONYMOUS="viewer",
    )
    with server:
        server.wait_until_ready()
        put(folder, 2, deadly=True)
        operator = {**server.token("operator"), "Content-Type": "application/json"}
        assert server.request("POST", "/api/process/restart", b"{}", operator)[0] == 202
        eventually(lambda: in_safe_mode(server), within=60, what="safe mode")
        assert server.json("/api/model")["retreat"] == {"version": "2", "to": "1", "obstacle": None}

        body = b'{"roll_back": true, "reason": "asleep"}'
        assert server.request("POST", "/api/process/restart", body, operator)[0] == 202
        server.wait_until_ready()
        status, answer = server.request("POST", "/predict", b"{}")
        assert (status, json.loads(answer)["version"], json.loads(answer)["result"]) == (200, "1", {"version": 1})

        *_, crash, last = Ledger(server.data_dir).exits()
        assert (crash.reason, crash.detail["safe_mode"]) == ("segfault", True)
        assert last.reason == "restart"
        assert last.summary.startswith("rolled back by token:")
        assert last.summary.endswith(" from version 2 to 1")
        assert (last.detail["version"], last.detail["instead_of"], last.detail["reason"]) == ("1", "2", "asleep")
        versions = {one["version"]: one for one in server.json("/api/model/versions")["versions"]}
        assert (versions["2"]["state"], versions["2"]["reason"]) == (
            "rolled_back",
            "crash_loop: the server kept crashing with it",
        )
        assert versions["1"]["serving"] is True

        def told() -> bool:
            newest = server.json("/api/model/history")["history"][0]
            return (newest["action"], newest["detail"]["version"]) == ("start_other", "1")

        eventually(told, what="the line on the page")
        # It stays so: a process that is killed comes back with version 1.
        server.kill_worker()
        server.wait_until_ready()
        assert server.json("/api/model")["status"]["version"] == "1"

"""A canary that takes the whole process with it is not there in the next one."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from ledger import Ledger
from tests.running import RunningServer, eventually

CODE = """
import ctypes
from model import Model

class Echo(Model):
    name = "echo"

    def load(self, device):
        pass

    def predict(self, batch):
        if {deadly} and "poison" in batch:
            ctypes.string_at(0)
        return batch

    def golden(self):
        return [("hello", lambda answer: answer == "hello")]
"""


def put(folder: Path, version: str, *, deadly: bool) -> None:
    (folder / version).mkdir(parents=True)
    (folder / version / "model.py").write_text(CODE.format(deadly=deadly))


def predict(server: RunningServer, body: bytes, **headers: str) -> int | None:
    """The status, or ``None`` where the process has gone."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with suppress(OSError, HTTPException):
        return server.request("POST", "/predict", body, {"Content-Type": "application/json", **named})[0]
    return None


def test_the_next_process_starts_with_what_served_though_the_canary_is_newer(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "echo"
    put(folder, "1", deadly=False)
    server = RunningServer(
        tmp_path / "data",
        MODEL__PATH=folder,
        MODEL__DEVICE="cpu",
        SUPERVISOR__BACKOFF_SECONDS=0.1,
        AUTH__ANONYMOUS="viewer",
    )
    with server:
        server.wait_until_ready()
        put(folder, "2", deadly=True)
        headers = {**server.token(), "Content-Type": "application/json"}
        asked = b'{"version": "2", "percent": 0, "wait_seconds": 60}'
        assert server.request("POST", "/api/model/canary", asked, headers)[0] == 200
        assert predict(server, b'"hello"', X_Model_Version="2") == 200
        assert predict(server, b'"poison"', X_Model_Version="2") is None
        eventually(lambda: predict(server, b'"poison"') == 200, within=60, what="the next process")
        found = server.json("/api/model/versions")
        assert [(one["version"], one["serving"], one["reason"]) for one in found["versions"]] == [
            ("2", False, "canary_ended: the process ended while it ran"),
            ("1", True, None),
        ]
        assert server.json("/api/model/comparison") == {"canary": None}
        assert [end.reason for end in Ledger(server.data_dir).exits()] == ["segfault"]

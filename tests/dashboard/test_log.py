"""What is written about requests, where, and what never is."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from config import Settings
from dashboard.log import FILE_NAME, configure_logging
from dashboard.request_id import accept_request_id, make_request_id
from tests.dashboard.house import House, MakeHouse, log_in


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Leave the handlers of the test run as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if handler not in root.handlers:
            root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log file's lines; each must be JSON."""
    return [json.loads(line) for line in (folder / FILE_NAME).read_text(encoding="utf-8").splitlines()]


def requests(house: House) -> list[dict[str, Any]]:
    """The lines about requests."""
    return [line for line in lines(house.data_dir) if line["event"] == "request"]


def test_every_request_leaves_one_line(house: House) -> None:
    answer = house.visitor().get("/api/alerts?state=firing", headers=house.token("viewer") | {"X-Request-ID": "abc.1"})
    assert answer.headers["X-Request-ID"] == "abc.1"
    (line,) = requests(house)
    duration = line.pop("duration_ms")
    assert 0 < duration < 60_000
    assert {name: line[name] for name in ("request_id", "method", "route", "status", "peer", "actor", "level")} == {
        "request_id": "abc.1",
        "method": "GET",
        "route": "/api/alerts",
        "status": 200,
        "peer": "127.0.0.1",
        "actor": "token:program-viewer",
        "level": "info",
    }
    assert line["timestamp"].endswith("Z")


def test_a_route_is_written_as_its_pattern(house: House) -> None:
    client = house.visitor()
    client.delete("/api/alerts/7/ack", headers=house.token("operator"))
    client.get("/somewhere/else")
    assert [line["route"] for line in requests(house)] == ["/api/alerts/<int:alert_id>/ack", None]


def test_no_secret_is_ever_written(house: House) -> None:
    client = house.visitor()
    log_in(client, "ada", "open sesame")
    client.get("/login/link/a-secret-link?password=swordfish")
    client.post("/predict?api_key=hunter2", data=b"private picture")
    client.get("/api/model", headers={"Authorization": "Bearer wl_topsecret"})
    client.get("/secret-page-of-somebody?token=opensezme")
    text = (house.data_dir / FILE_NAME).read_text(encoding="utf-8")
    secrets = ("open sesame", "a-secret-link", "swordfish", "hunter2", "private picture", "wl_topsecret")
    for secret in (*secrets, "secret-page", "opensezme"):
        assert secret not in text


def test_a_hostile_header_stays_inside_its_line(house: House) -> None:
    client = house.visitor()
    answer = client.get("/health", headers={"X-Request-ID": 'x","status":200}{"a":"'})
    assert answer.headers["X-Request-ID"].isalnum()
    assert len(requests(house)) == 1


def test_what_is_asked_all_the_time_is_written_at_debug_level_only(make_house: MakeHouse) -> None:
    quiet = make_house()
    for path in ("/health/live", "/static/css/base.css", "/favicon.ico"):
        quiet.visitor().get(path)
    assert requests(quiet) == []
    loud = make_house(log={"level": "debug"})
    loud.visitor().get("/health/live")
    loud.visitor().get("/static/css/base.css")
    assert [line["route"] for line in requests(loud)] == ["/health/live", "static"]


def test_the_lines_go_to_stdout_as_well(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(house.services.settings)
    house.visitor().get("/health")
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert line["route"] == "/health"


def test_what_is_logged_during_a_request_carries_its_id(house: House) -> None:
    from dashboard.access import public

    @public
    def view() -> str:
        structlog.get_logger("somewhere").info("inside", size=3)
        logging.getLogger("a.library").warning("careful: %s", "hot")
        return "done"

    house.app.add_url_rule("/chatty", "chatty", view)
    house.visitor().get("/chatty", headers={"X-Request-ID": "me-1"})
    structlog.get_logger("somewhere").info("outside")
    found = {line["event"]: line for line in lines(house.data_dir)}
    assert found["inside"]["request_id"] == "me-1"
    assert found["inside"]["size"] == 3
    assert found["careful: hot"]["request_id"] == "me-1"
    assert found["careful: hot"]["level"] == "warning"
    assert "request_id" not in found["outside"]


def test_only_the_owner_can_read_the_file_and_those_rotated_away(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("")
    (tmp_path / FILE_NAME).chmod(0o666)
    configure_logging(Settings.model_validate({"data_dir": tmp_path, "log": {"max_bytes": 1024, "backups": 2}}))
    for number in range(40):
        structlog.get_logger("t").info("filling", number=number, text="x" * 100)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [FILE_NAME, f"{FILE_NAME}.1", f"{FILE_NAME}.2"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(file.stat().st_size <= 1024 for file in files)


def test_no_file_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    configure_logging(Settings.model_validate({"data_dir": tmp_path, "log": {"file": False}}))
    structlog.get_logger("t").warning("hello")
    assert list(tmp_path.iterdir()) == []


def test_configuring_twice_writes_each_line_once(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    configure_logging(settings)
    configure_logging(settings)
    logging.getLogger("gunicorn.error").info("Booting worker")
    assert [line["event"] for line in lines(tmp_path)] == ["Booting worker"]


def test_an_exception_is_written_with_its_traceback_in_one_line(tmp_path: Path) -> None:
    configure_logging(Settings.model_validate({"data_dir": tmp_path}))
    try:
        raise ValueError("bad\nthings")
    except ValueError:
        structlog.get_logger("t").exception("job_failed")
    (line,) = lines(tmp_path)
    assert "ValueError: bad\nthings" in line["exception"]


def test_what_json_cannot_carry_does_not_lose_the_line(tmp_path: Path) -> None:
    configure_logging(Settings.model_validate({"data_dir": tmp_path}))
    structlog.get_logger("t").info("odd", thing=object(), number=2**80, text="\ud800")
    (line,) = lines(tmp_path)
    assert line["event"] == "odd"


def test_request_ids_are_short_and_sort_by_time() -> None:
    ids = [make_request_id(now_ms) for now_ms in (1, 1_700_000_000_000, 1_700_000_000_001)]
    assert ids == sorted(ids)
    assert {len(id) for id in ids} == {22}
    assert make_request_id(5) != make_request_id(5)


@pytest.mark.parametrize("offered", ["a", "A-b_c.9", "x" * 64])
def test_a_harmless_id_is_kept(offered: str) -> None:
    assert accept_request_id(offered) == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a\n", "ä", "a/b", '"', None])
def test_any_other_is_replaced(offered: str | None) -> None:
    assert accept_request_id(offered) != offered

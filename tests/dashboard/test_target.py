"""What is watched beside the model, over HTTP: told, added, changed, paused, tried, switched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import insert, update

from storage.tables import ProbeRow, TargetOutageRow, TargetRow
from targets.probe.state import ProbeState
from tests.dashboard.house import House, MakeHouse

HOUR, DAY = 3_600_000, 86_400_000
STANDBY = "http://user:pass@127.0.0.1:8189/other?token=x"
SETTINGS = [
    {
        "name": "comfyui",
        "note": "draws",
        "http": {"url": "http://127.0.0.1:8188/system_stats", "interval": "5s", "timeout": "2s"},
        "scrape": {"url": "http://u:hunter2@127.0.0.1:8188/metrics?token=hunter2"},
        "remedies": [
            {"command": ["restart", "--password=hunter2"], "limit_per_hour": 1},
            {"standby": STANDBY, "after_fails": 5},
        ],
    },
    {"name": "backup", "push": {"every": "1h"}},
]
PAGE = {"name": "api", "http": {"url": "http://127.0.0.1:9/", "bearer_token": "hunter2"}, "note": "ours"}


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house that watches; nothing in it looks by itself."""
    return make_house(targets=SETTINGS)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def get(house: House, path: str, role: str = "viewer") -> dict[str, Any]:
    answer = house.visitor().get(path, headers=house.token(role))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def ask(house: House, method: str, path: str, role: str, **document: Any) -> tuple[int, dict[str, Any]]:
    answer = house.visitor().open(path, method=method, headers=house.token(role), json=document)
    return answer.status_code, answer.get_json()


def standing(house: House, monkeypatch: pytest.MonkeyPatch, state: Any, name: str = "comfyui") -> ProbeState:
    """Have the prober say this of a target's HTTP probe."""
    now = now_ms()
    found = ProbeState(name, "http", state, now - HOUR, now, 0, "refuses the connection", 0.1, {"status": 0}, 9)
    monkeypatch.setattr(house.services.targets.prober, "states", lambda: [found])
    return found


def audited(house: House) -> list[tuple[str, str]]:
    return [(one.action, one.target) for one in house.services.audit.between(0, now_ms())]


# --- telling ------------------------------------------------------------------------------------------------------


def test_each_target_is_told_with_what_can_be_done_about_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    state = standing(house, monkeypatch, "down")
    comfyui, backup = get(house, "/api/targets")["targets"]
    assert (comfyui["name"], comfyui["origin"], comfyui["note"]) == ("comfyui", "settings", "draws")
    assert (comfyui["state"], comfyui["since_ms"], comfyui["reason"]) == ("down", state.since_ms, state.reason)
    assert [one["what"] for one in comfyui["remedies"]][1] == "switch to http://127.0.0.1:8189/other"
    assert comfyui["standby"] == {"active": False, "url": "http://127.0.0.1:8189/other"}
    assert (backup["state"], backup["standby"], backup["push_url"]) == ("unknown", None, None)


def test_nothing_secret_is_told_to_who_looks(house: House) -> None:
    house.services.targets.roster.add(PAGE, "ada", now_ms())
    for path in ("/api/targets", "/api/targets/comfyui", "/api/targets/api", "/api/targets/backup"):
        for role in ("viewer", "operator"):
            text = str(get(house, path, role))
            assert "hunter2" not in text
            assert "pass@" not in text
            assert "/push/" not in text
    assert "hunter2" not in str(get(house, "/api/targets/api", "admin"))
    assert "/push/" in get(house, "/api/targets/backup", "admin")["push_url"]


def test_uptime_is_reckoned_from_the_outages_since_the_first_look(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing(house, monkeypatch, "down")
    now = now_ms()
    probe = {"target": "comfyui", "probe": "http", "state": "down", "since_ms": 0, "seen_ms": now, "streak": 0}
    outage = {"target": "comfyui", "probe": "http", "reason": "refuses the connection"}
    with house.services.database.begin() as connection:
        connection.execute(insert(ProbeRow).values(**probe, first_ms=now - 10 * HOUR, reason="", detail={}))
        for start, end in ((now - 8 * HOUR, now - 7 * HOUR), (now - HOUR, None)):
            values = outage | {"started_ms": start, "detected_ms": start + 5000, "ended_ms": end}
            connection.execute(insert(TargetOutageRow).values(**values))
    found = get(house, "/api/targets/comfyui?tz=UTC")
    (told,) = found["probes"]
    assert {name: round(ratio, 3) for name, ratio in told["uptime"].items()} == dict.fromkeys(
        ("24h", "7d", "30d", "90d"), 0.8
    )
    assert len(told["days"]) == 90
    assert sum(day["outages"] for day in told["days"]) == 2
    assert sum(day["seconds_down"] for day in told["days"]) == pytest.approx(7200, abs=10)
    assert [one["ended_ms"] is None for one in found["outages"]] == [True, False]


def test_the_time_in_which_nobody_could_look_does_not_count(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    standing(house, monkeypatch, "up")
    now = now_ms()
    probe = {"target": "comfyui", "probe": "http", "state": "up", "since_ms": 0, "seen_ms": now, "streak": 0}
    outage = {"target": "comfyui", "probe": "http", "reason": "", "detected_ms": now - 8 * HOUR}
    with house.services.database.begin() as connection:
        connection.execute(insert(ProbeRow).values(**probe, first_ms=now - 10 * HOUR, reason="", detail={}))
        values = outage | {"started_ms": now - 8 * HOUR, "ended_ms": now - 7 * HOUR}
        connection.execute(insert(TargetOutageRow).values(**values))
    house.services.incidents.add("power", "power", "no power", now - 6 * HOUR, now - HOUR)
    (told,) = get(house, "/api/targets/comfyui")["probes"]
    assert told["uptime"]["24h"] == pytest.approx(1 - 1 / 5, abs=0.001)


@pytest.mark.parametrize(
    ("since", "first", "ratio", "known"),
    [(10, 10, None, 0), (5, 10, 0.8, 5), (130, 140, None, 10)],
    ids=["never had one", "has none any more", "had none in the last day"],
)
def test_the_time_without_a_verdict_does_not_count_as_up(
    house: House, monkeypatch: pytest.MonkeyPatch, since: int, first: int, ratio: float | None, known: int
) -> None:
    standing(house, monkeypatch, "unknown")
    now = now_ms()
    probe = {"target": "comfyui", "probe": "http", "state": "unknown", "seen_ms": 0, "streak": 0, "reason": ""}
    outage = {"target": "comfyui", "probe": "http", "reason": "", "detected_ms": now}
    with house.services.database.begin() as connection:
        times = {"since_ms": now - since * HOUR, "first_ms": now - first * HOUR}
        connection.execute(insert(ProbeRow).values(**probe, **times, detail={}))
        if known:
            values = outage | {"started_ms": now - (since + 1) * HOUR, "ended_ms": now - since * HOUR}
            connection.execute(insert(TargetOutageRow).values(**values))
    (told,) = get(house, "/api/targets/comfyui?tz=UTC")["probes"]
    assert told["uptime"]["24h"] == (None if ratio is None else pytest.approx(ratio, abs=0.001))
    assert told["uptime"]["90d"] == (pytest.approx(1 - 1 / known, abs=0.001) if known else None)
    assert any(day["ratio"] is not None for day in told["days"]) == bool(known)
    assert told["days"][-2]["ratio"] is None or since < 24


def test_outages_are_a_file_as_well(house: House) -> None:
    began = now_ms() - HOUR
    values = {"target": "comfyui", "probe": "http", "started_ms": began, "detected_ms": began}
    with house.services.database.begin() as connection:
        connection.execute(insert(TargetOutageRow).values(**values, reason="=1+1", ended_ms=began + 500))
        connection.execute(insert(TargetOutageRow).values(**values | {"target": "other"}, reason="", ended_ms=None))
    answer = house.visitor().get("/api/outages.csv?target=comfyui", headers=house.token("viewer"))
    head, row = answer.text.splitlines()
    assert head == "target,probe,reason,started,detected,ended,seconds"
    assert row.startswith("comfyui,http,'=1+1,20")
    assert row.endswith(",0.5")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="wakeless_outages_')


# --- changing -----------------------------------------------------------------------------------------------------


def test_a_target_is_added_changed_paused_and_removed(house: House) -> None:
    status, added = ask(house, "POST", "/api/targets", "admin", definition=PAGE)
    assert (status, added["origin"], added["definition"]["http"]["bearer_token"]) == (201, "page", "(hidden)")
    changed = added["definition"] | {"note": "theirs"}
    status, found = ask(house, "PUT", "/api/targets/api", "admin", definition=changed, version=added["version"])
    assert (status, found["note"]) == (200, "theirs")
    status, problem = ask(house, "PUT", "/api/targets/api", "admin", definition=changed, version=added["version"])
    assert (status, problem["type"]) == (409, "urn:wakeless:problem:conflict")
    assert ask(house, "POST", "/api/targets/api/pause", "operator", paused=True)[1]["state"] == "paused"
    assert ask(house, "POST", "/api/targets/api/pause", "operator", paused=False)[1]["state"] == "unknown"
    assert ask(house, "POST", "/api/targets/comfyui/pause", "operator", paused=True)[1]["disabled"] is True
    assert ask(house, "DELETE", "/api/targets/api", "admin") == (200, {"removed": "api"})
    assert [one["name"] for one in get(house, "/api/targets")["targets"]] == ["comfyui", "backup"]
    assert audited(house) == [
        ("target.add", "target:api"),
        ("target.change", "target:api"),
        ("target.pause", "target:api"),
        ("target.resume", "target:api"),
        ("target.pause", "target:comfyui"),
        ("target.remove", "target:api"),
    ]


@pytest.mark.parametrize(
    ("definition", "field", "words"),
    [
        ({"name": "x", "http": {"url": "hunter2"}}, "http.url", "http.url: must be an http:// or https:// URL"),
        ({"name": "x", "log": {"path": "/var/log/x"}}, "log", "log: only the settings file may have this"),
        (
            {"name": "x", "remedies": [{"command": ["rm"]}]},
            "remedies",
            "remedies: only the settings file may have this",
        ),
        ({"name": "x"}, None, "a target needs something to look at: "),
    ],
)
def test_a_mistake_is_named_and_no_value_repeated(
    house: House, definition: dict[str, Any], field: str | None, words: str
) -> None:
    for path in ("/api/targets", "/api/targets/check"):
        status, problem = ask(house, "POST", path, "admin", definition=definition)
        assert (status, problem.get("field")) == (422, field)
        assert problem["detail"].startswith(words)
        assert "hunter2" not in str(problem)
    assert len(get(house, "/api/targets")["targets"]) == 2


def test_what_is_not_there_is_not_found(house: House) -> None:
    assert house.visitor().get("/api/targets/nobody", headers=house.token("viewer")).status_code == 404
    for method, path, document in (
        ("PUT", "/api/targets/nobody", {"definition": {"ping": {"host": "localhost"}}}),
        ("DELETE", "/api/targets/nobody", {}),
        ("POST", "/api/targets/nobody/pause", {"paused": True}),
        ("POST", "/api/targets/nobody/check", {}),
        ("POST", "/api/targets/nobody/standby", {"active": True}),
        ("POST", "/api/targets/nobody/try-again", {}),
    ):
        assert ask(house, method, path, "admin", **document)[0] == 404, path
    status, problem = ask(house, "DELETE", "/api/targets/comfyui", "admin")
    assert (status, problem["detail"]) == (409, "comfyui is in the settings file, and is changed there")


def test_a_lost_key_costs_the_targets_of_the_page_only(house: House) -> None:
    roster = house.services.targets.roster
    roster.add(PAGE, "ada", now_ms())
    with house.services.database.begin() as connection:
        connection.execute(update(TargetRow).values(secret=b"of another key"))
    roster.pause("backup", False, "ada", now_ms())  # has the table read again
    found = {one["name"]: one for one in get(house, "/api/targets")["targets"]}
    assert set(found) == {"comfyui", "backup", "api"}
    assert "its definition cannot be decrypted" in found["api"]["reason"]
    assert get(house, "/api/targets/api", "admin")["definition"] is None
    assert ask(house, "DELETE", "/api/targets/api", "admin")[0] == 200


# --- looking once -------------------------------------------------------------------------------------------------


@contextmanager
def service() -> Iterator[str]:
    class Secret(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == "Bearer hunter2"
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Secret) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_target_is_tried_before_it_is_kept_and_after(house: House) -> None:
    with service() as url:
        definition = {"name": "api", "http": {"url": url, "bearer_token": "hunter2"}}
        status, found = ask(house, "POST", "/api/targets/check", "admin", definition=definition)
        assert (status, [(one["probe"], one["success"]) for one in found["results"]]) == (200, [("http", True)])
        wrong = {"name": "api", "http": {"url": url, "bearer_token": "no"}}
        (result,) = ask(house, "POST", "/api/targets/check", "admin", definition=wrong)[1]["results"]
        assert result["success"] is False
        assert "401" in result["reason"]
        assert len(get(house, "/api/targets")["targets"]) == 2
        added = ask(house, "POST", "/api/targets", "admin", definition=definition)[1]
        (result,) = ask(house, "POST", "/api/targets/check", "admin", definition=added["definition"])[1]["results"]
        assert result["success"] is True, "with the secret that is hidden"
        assert ask(house, "POST", "/api/targets/api/check", "operator")[1]["results"][0]["success"] is True


# --- remedies -----------------------------------------------------------------------------------------------------


def test_a_person_switches_to_the_standby_and_back(house: House) -> None:
    status, found = ask(house, "POST", "/api/targets/comfyui/standby", "operator", active=True)
    assert (status, found["standby"]["active"]) == (200, True)
    assert [(one["rung"], one["kind"], one["state"], one["why"]) for one in found["actions"]] == [
        (-1, "standby", "started", "by token:program-operator")
    ]
    status, problem = ask(house, "POST", "/api/targets/comfyui/standby", "operator", active=True)
    assert (status, problem["detail"]) == (409, "the callers of comfyui go to the standby already")
    assert ask(house, "POST", "/api/targets/backup/standby", "operator", active=True)[0] == 409
    assert ask(house, "POST", "/api/targets/comfyui/standby", "operator", active=False)[1]["standby"]["active"] is False
    assert audited(house) == [("target.standby", "target:comfyui")] * 2


def test_a_person_has_the_remedies_tried_again(house: House) -> None:
    watcher = house.services.targets
    watcher.ladder.replace(watcher.roster.targets())
    assert ask(house, "POST", "/api/targets/comfyui/try-again", "operator", reason="disk is free")[0] == 202
    status, problem = ask(house, "POST", "/api/targets/backup/try-again", "operator")
    assert (status, problem["detail"]) == (409, "backup has no remedies, or is paused")
    assert audited(house) == [("target.try_again", "target:comfyui")]


# --- /go ----------------------------------------------------------------------------------------------------------


def test_callers_are_sent_to_where_the_target_is(house: House) -> None:
    answer = house.visitor().post("/go/comfyui/prompt/%E5%9B%BE?x=1&y=a%26b", data=b"{}")
    assert answer.status_code == 307
    assert answer.headers["Location"] == "http://127.0.0.1:8188/prompt/%E5%9B%BE?x=1&y=a%26b"
    assert answer.headers["Cache-Control"] == "no-store"
    assert house.visitor().get("/go/comfyui").headers["Location"] == "http://127.0.0.1:8188/"
    house.services.targets.ladder.switch(house.services.targets.roster.targets()[0].settings, True, "ada", now_ms())
    location = house.visitor().get("/go/comfyui/prompt").headers["Location"]
    assert location == "http://127.0.0.1:8189/other/prompt"


def test_while_it_is_down_and_has_no_standby_callers_are_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    standing(house, monkeypatch, "down")
    answer = house.visitor().get("/go/comfyui/prompt")
    assert (answer.status_code, answer.get_json()["type"]) == (503, "urn:wakeless:problem:target-down")
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "path", ["//evil.example", "/../../evil.example", "\\evil.example", "%0d%0aSet-Cookie:x", "@e"]
)
def test_no_path_leads_elsewhere(house: House, path: str) -> None:
    answer = house.visitor().get(f"/go/comfyui/{path}")
    assert answer.status_code in (307, 308, 404)
    if answer.status_code == 307:
        assert answer.headers["Location"].startswith("http://127.0.0.1:8188/")
    assert "Set-Cookie" not in answer.headers


def test_what_leads_nowhere_is_not_found(house: House) -> None:
    for path, words in (("/go/nobody/x", "There is no target 'nobody'."), ("/go/backup/x", "backup has no URL")):
        answer = house.visitor().get(path)
        assert answer.status_code == 404
        assert words in answer.get_json()["detail"]


def test_who_may_be_sent_is_who_may_predict(make_house: MakeHouse) -> None:
    house = make_house(targets=SETTINGS, server={"host": "0.0.0.0"})
    assert house.visitor().get("/go/comfyui/x").status_code == 401
    assert house.visitor().get("/go/comfyui/x", headers=house.token("viewer")).status_code == 307
    answer = house.visitor().get("/go/comfyui/x", headers=house.token("viewer") | {"Host": "a.example"})
    assert answer.status_code == 307

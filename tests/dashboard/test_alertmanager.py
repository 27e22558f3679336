"""Alertmanager's API v2, as amtool and other Prometheus servers speak it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from alerts.routing.load import load_routing
from alerts.routing.tree import InhibitRule, Receiver, Route, Routing
from alerts.silencing.matching import match_all, parse_matcher, parse_matchers
from dashboard.alertmanager_config import configuration, duration
from storage.error import StorageError
from tests.dashboard.house import House, open_house, page_token

URL = "/api/v2"


def at(minutes: float) -> str:
    """A moment so many minutes from now, as programs write it."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def ask(house: House, path: str, role: str = "viewer", **query: Any) -> Any:
    answer = house.visitor().get(f"{URL}/{path}", headers=house.token(role), query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def send(house: House, path: str, document: object, role: str = "operator") -> TestResponse:
    return house.visitor().post(f"{URL}/{path}", headers=house.token(role), json=document)


def post(house: House, *alerts: dict[str, Any]) -> None:
    answer = send(house, "alerts", list(alerts))
    assert (answer.status_code, answer.data) == (200, b"")


def alert(name: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, **labels}, "annotations": {"summary": f"{name}!"}}


def silence(matchers: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {"matchers": matchers or [{"name": "service", "value": "db", "isRegex": False}]}
    wanted |= {"startsAt": at(0), "endsAt": at(60), "createdBy": "ada", "comment": "new disk"}
    return wanted | fields


def make_silence(house: House, **fields: Any) -> str:
    answer = send(house, "silences", silence(**fields))
    assert answer.status_code == 200, answer.text
    found: str = answer.get_json()["silenceID"]
    return found


def audit(house: House) -> list[tuple[str, str]]:
    return [(entry.actor, entry.action) for entry in house.services.audit.between(0, 1 << 50)]


# --- alerts ------------------------------------------------------------------------------------------------------


def test_an_alert_that_is_sent_fires_and_is_shown(house: House) -> None:
    post(house, alert("Down", service="db", empty="") | {"generatorURL": "http://prometheus/graph"})
    [found] = ask(house, "alerts")
    assert found["labels"] == {"alertname": "Down", "service": "db"}
    assert found["annotations"] == {"summary": "Down!"}
    assert found["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": []}
    assert found["receivers"] == [{"name": "page"}]
    assert found["generatorURL"] == "http://prometheus/graph"
    assert found["startsAt"] <= found["updatedAt"] < found["endsAt"]
    mine = house.visitor().get("/api/alerts", headers=house.token("viewer")).get_json()["alerts"]
    assert [(one["rule"], one["source"], one["fingerprint"]) for one in mine] == [("Down", "api", found["fingerprint"])]


def test_an_alert_ends_when_its_sender_says_so(house: House) -> None:
    post(house, alert("Down"))
    post(house, alert("Down") | {"startsAt": at(-5), "endsAt": at(-1)})
    assert ask(house, "alerts") == []


#: What Prometheus 2.42 sends for one alert, but for the times.
_SENT = (
    b'[{"annotations":{"summary":"The disk of h1 is full"},"endsAt":"%b","startsAt":"%b",'
    b'"generatorURL":"http://vm:9090/graph?g0.expr=disk_full+%%3D%%3D+1\\u0026g0.tab=1","labels":{"alertname":"DiskFull",'
    b'"host":"h1","instance":"127.0.0.1:36551","job":"disks","region":"eu","severity":"warning"}}]'
)


def test_what_prometheus_sends_fires_is_renewed_and_resolves(house: House) -> None:
    engine, start = house.services.alerts, at(-1)
    headers = house.token("operator") | {"Content-Type": "application/json", "User-Agent": "Prometheus/2.42.0+ds"}

    def send(end: str) -> None:
        raw = _SENT % (end.encode(), start.encode())
        assert house.visitor().post(f"{URL}/alerts", headers=headers, data=raw).status_code == 200

    send(at(4))
    [found] = engine.current()
    assert (found.rule, found.state, found.level) == ("DiskFull", "firing", 2)
    assert found.generator_url == "http://vm:9090/graph?g0.expr=disk_full+%3D%3D+1&g0.tab=1"
    engine.acknowledge(found.id, "ada", "on it", found.seen_ms)
    send(at(5))
    [renewed] = engine.current()
    assert (renewed.id, renewed.state, renewed.active_ms) == (found.id, "acknowledged", found.active_ms)
    send(at(0))
    assert engine.current() == []
    ended = engine.alert(found.id)
    assert ended is not None
    assert (ended.state, ended.ended_by) == ("resolved", "told")


def test_a_time_of_zero_is_no_time(house: House) -> None:
    post(house, alert("Down") | {"startsAt": "0001-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00.000Z"})
    assert len(ask(house, "alerts")) == 1


def test_the_good_ones_are_taken_where_some_are_bad(house: House) -> None:
    answer = send(house, "alerts", [{"labels": {"1a": "x"}}, alert("Down")])
    assert (answer.status_code, answer.get_json()) == (400, 'invalid label set: invalid name "1a"')
    assert [one["labels"]["alertname"] for one in ask(house, "alerts")] == ["Down"]


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ([{"labels": {}}], 400, "at least one label pair required"),
        ([{"labels": {"a": ""}}], 400, "at least one label pair required"),
        ([{"annotations": {}}], 422, {"code": 602, "message": "0.labels in body is required"}),
        ([{"labels": {"a": "b"}, "annotations": {"1x": "y"}}], 400, 'invalid annotations: invalid name "1x"'),
        (
            [{"labels": {"a": "b"}, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}],
            400,
            "start time must be before end time",
        ),
        (
            [{"labels": {"a": "b"}, "generatorURL": "::bad"}],
            422,
            {"code": 601, "message": '0.generatorURL in body must be of type uri: "::bad"'},
        ),
        ([{"labels": {"a": "b" * 9000}}], 400, "invalid label set: more than 8192 characters"),
    ],
)
def test_an_alert_that_cannot_be_is_refused_in_alertmanagers_words(
    house: House, document: object, status: int, said: object
) -> None:
    answer = send(house, "alerts", document)
    assert (answer.status_code, answer.get_json()) == (status, said)
    assert ask(house, "alerts") == []


@pytest.mark.parametrize(
    "raw",
    [b"nonsense", b"{}", b"[1]", b'[{"labels": {"a": 1}}]', b'[{"labels": {"a": "b"}, "startsAt": "x"}]', b"null"],
)
def test_a_body_that_is_no_list_of_alerts_is_refused(house: House, raw: bytes) -> None:
    headers = house.token("operator") | {"Content-Type": "application/json"}
    answer = house.visitor().post(f"{URL}/alerts", headers=headers, data=raw)
    assert answer.status_code == 400
    assert answer.get_json()["message"].startswith('parsing alerts body from "" failed, because ')


def test_a_body_of_another_kind_and_no_body_are_refused(house: House) -> None:
    headers = house.token("operator")
    answer = house.visitor().post(f"{URL}/alerts", headers=headers, data=b"[]", content_type="text/plain")
    assert answer.status_code == 415
    assert answer.get_json()["message"] == 'unsupported media type "text/plain", only [application/json] are allowed'
    answer = house.visitor().post(f"{URL}/alerts", headers=headers, data=b"", content_type="application/json")
    assert (answer.status_code, answer.get_json()) == (422, {"code": 602, "message": "alerts in body is required"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5) | st.just("2026-01-01T00:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["labels", "annotations", "startsAt", "endsAt", "matchers", "name", "value", "isRegex", "isEqual", "id"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(document=_JSON, path=st.sampled_from(["alerts", "silences"]))
def test_no_body_is_an_error_of_ours(house: House, document: object, path: str) -> None:
    raw = orjson.dumps([document] if path == "alerts" else document)
    headers = house.token("operator") | {"Content-Type": "application/json"}
    answer = house.visitor().post(f"{URL}/{path}", headers=headers, data=raw)
    assert answer.status_code in (200, 400, 404, 422), answer.text


def test_alerts_are_found_by_matchers_and_receivers(house: House) -> None:
    post(house, alert("Down", service="db"), alert("Slow", service="db"), alert("Slow", service="web"))

    def names(**query: Any) -> list[str]:
        found = ask(house, "alerts", **query)
        return sorted(f"{one['labels']['alertname']} {one['labels']['service']}" for one in found)

    assert names(filter='service="db"') == ["Down db", "Slow db"]
    assert names(filter=["service=~d.|x", "alertname!=Down"]) == ["Slow db"]
    assert names(filter="zone=") == ["Down db", "Slow db", "Slow web"]
    assert names(receiver="p.*") == ["Down db", "Slow db", "Slow web"]
    assert names(receiver="p") == []
    assert names(active="false") == []
    assert names(active="true", unprocessed="false", inhibited="false") == ["Down db", "Slow db", "Slow web"]


@pytest.mark.parametrize("path", ["alerts", "alerts/groups", "silences"])
def test_a_filter_that_cannot_be_read_is_refused(calm: House, path: str) -> None:
    answer = calm.visitor().get(f"{URL}/{path}?filter=%7B", headers=calm.token("viewer"))
    assert (answer.status_code, answer.get_json()) == (400, "bad matcher format: {")


def test_a_receiver_that_is_no_expression_is_refused(calm: House) -> None:
    answer = calm.visitor().get(f"{URL}/alerts?receiver=(", headers=calm.token("viewer"))
    assert answer.status_code == 400
    assert answer.get_json().startswith("failed to parse receiver param: ")


def test_what_a_silence_or_a_window_keeps_back_is_suppressed(house: House) -> None:
    post(house, alert("Down", service="db"), alert("Slow", service="web"))
    id = make_silence(house)
    window = {"name": "Always", "matchers": ["service=web"], "intervals": [{}]}
    headers = house.token("operator")
    assert house.visitor().post("/api/maintenance", headers=headers, json=window).status_code == 201
    found = {one["labels"]["service"]: one["status"] for one in ask(house, "alerts")}
    assert found["db"] == {"state": "suppressed", "silencedBy": [id], "inhibitedBy": []}
    assert found["web"] == {"state": "suppressed", "silencedBy": ["Always"], "inhibitedBy": []}
    assert ask(house, "alerts", silenced="false") == []
    shown = house.visitor().get("/api/alerts", headers=headers).get_json()["alerts"]
    assert {(one["labels"]["service"], *one["silenced_by"], *one["muted_by"]) for one in shown} == {
        ("db", id),
        ("web", "Always"),
    }
    live, _ = house.services.hub.first("overview", time.time_ns() // 1_000_000, 10_000)
    assert {(*one["silenced_by"], *one["muted_by"]) for one in live["alerts"]} == {(id,), ("Always",)}


def routed(house: House) -> None:
    """Two receivers, and one alert that keeps others back."""
    below = Route("db", "{}/{service=db}", "routes[0]", "db", tuple(parse_matchers("service=db")), group_by=("zone",))
    root = Route("top", "{}", "", "page", group_by=("alertname",), routes=(below,))
    inhibit = InhibitRule(tuple(parse_matchers("alertname=Down")), tuple(parse_matchers("service=db")), ("zone",))
    routing = Routing(root, {"page": Receiver("page"), "db": Receiver("db")}, inhibit_rules=(inhibit,))
    house.services.routing = lambda: routing


def test_alerts_are_grouped_by_their_routes(house: House) -> None:
    routed(house)
    post(house, alert("Slow", service="db", zone="a"), alert("Down", service="db", zone="a"), alert("Slow"))
    found = ask(house, "alerts/groups")
    assert [(one["receiver"]["name"], one["labels"], len(one["alerts"])) for one in found] == [
        ("page", {"alertname": "Slow"}, 1),
        ("db", {"zone": "a"}, 2),
    ]
    assert [one["receivers"] for one in ask(house, "alerts", filter="service=db")] == [[{"name": "db"}]] * 2
    assert [one["receiver"]["name"] for one in ask(house, "alerts/groups", receiver="d.")] == ["db"]
    assert ask(house, "receivers") == [{"name": "page"}, {"name": "db"}]


def test_what_another_alert_keeps_back_is_suppressed(house: House) -> None:
    post(house, alert("Down"), alert("Slow", service="db"))
    prints = {one["labels"]["alertname"]: one["fingerprint"] for one in ask(house, "alerts")}
    house.services.inhibitors = lambda: {prints["Slow"]: [prints["Down"]]}
    [found] = ask(house, "alerts", filter="alertname=Slow")
    assert found["status"] == {"state": "suppressed", "silencedBy": [], "inhibitedBy": [prints["Down"]]}
    assert [one["labels"]["alertname"] for one in ask(house, "alerts", inhibited="no")] == ["Down"]


def test_an_alert_that_is_acknowledged_still_fires(house: House) -> None:
    post(house, alert("Down"))
    [mine] = house.services.alerts.current()
    house.services.alerts.acknowledge(mine.id, "ada", "on it", mine.seen_ms)
    assert [one["status"]["state"] for one in ask(house, "alerts")] == ["active"]


# --- silences ----------------------------------------------------------------------------------------------------


def test_a_silence_is_made_read_and_ended(house: House) -> None:
    id = make_silence(house)
    [found] = ask(house, "silences")
    assert found == ask(house, f"silence/{id}")
    assert found["id"] == id
    assert found["status"] == {"state": "active"}
    assert found["matchers"] == [{"name": "service", "value": "db", "isRegex": False, "isEqual": True}]
    assert (found["createdBy"], found["comment"]) == ("ada", "new disk")
    for _ in range(2):
        answer = house.visitor().delete(f"{URL}/silence/{id}", headers=house.token("operator"))
        assert (answer.status_code, answer.data) == (200, b"")
    assert ask(house, f"silence/{id}")["status"] == {"state": "expired"}
    assert [action for _, action in audit(house)] == ["silence.create", "silence.expire", "silence.expire"]


def test_silences_and_windows_outlive_a_restart(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        id = make_silence(house)
        window = {"name": "Always", "matchers": ["service=db"], "intervals": [{}]}
        made = house.visitor().post("/api/maintenance", headers=house.token("operator"), json=window)
        assert made.status_code == 201
    with open_house(tmp_path / "data") as house:
        now_ms = time.time_ns() // 1_000_000
        assert house.services.quieting.mutes({"alertname": "Down", "service": "db"}, now_ms) == [id, "Always"]


def test_a_silence_without_a_name_has_that_of_its_maker(house: House) -> None:
    client = house.person("operator")
    answer = client.post(f"{URL}/silences", json=silence(createdBy=""), headers=page_token(client))
    assert answer.status_code == 200, answer.text
    assert ask(house, "silences")[0]["createdBy"] == "person-operator"
    assert audit(house)[-1] == ("person-operator", "silence.create")


def test_a_session_needs_the_pages_token_and_a_program_does_not(house: House) -> None:
    assert house.person("operator").post(f"{URL}/silences", json=silence()).status_code == 403
    make_silence(house)


def test_silences_are_found_by_their_matchers(house: House) -> None:
    id = make_silence(house)
    make_silence(house, matchers=[{"name": "service", "value": "db", "isRegex": True}])
    assert [one["id"] for one in ask(house, "silences", filter="service=db")] == [id]


def test_a_change_keeps_the_id_and_other_matchers_do_not(house: House) -> None:
    id = make_silence(house)
    found = ask(house, f"silence/{id}")
    assert make_silence(house, id=id, startsAt=found["startsAt"], comment="longer", endsAt=at(120)) == id
    other = make_silence(house, id=id, matchers=[{"name": "a", "value": "b", "isRegex": False}])
    assert other != id
    assert {one["id"]: one["status"]["state"] for one in ask(house, "silences")} == {id: "expired", other: "active"}
    assert [action for _, action in audit(house)] == ["silence.create", "silence.change", "silence.change"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"comment": None}, 422, {"code": 602, "message": "comment in body is required"}),
        ({"startsAt": None}, 422, {"code": 602, "message": "startsAt in body is required"}),
        (
            {"matchers": [{"name": "a", "value": "x"}]},
            422,
            {"code": 602, "message": "matchers.0.isRegex in body is required"},
        ),
        ({"endsAt": at(-60)}, 400, "Failed to create silence: start time must be before end time"),
        ({"startsAt": at(-60), "endsAt": at(-30)}, 400, "Failed to create silence: end time can't be in the past"),
        (
            {"matchers": [{"name": "a", "value": "", "isRegex": False}]},
            400,
            "silence invalid: at least one matcher must not match the empty string",
        ),
        (
            {"matchers": [{"name": "", "value": "x", "isRegex": False}]},
            400,
            'silence invalid: invalid label matcher 0: invalid label name ""',
        ),
        ({"id": "6a3d30b8-6f5f-4a2a-9b1c-000000000000"}, 404, "silence not found"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_in_alertmanagers_words(
    calm: House, change: dict[str, Any], status: int, said: object
) -> None:
    answer = send(calm, "silences", silence(**change) | change)
    assert (answer.status_code, answer.get_json()) == (status, said)


def test_a_silence_needs_matchers(calm: House) -> None:
    answer = send(calm, "silences", silence() | {"matchers": []})
    assert answer.get_json() == {"code": 612, "message": "matchers in body should have at least 1 items"}
    answer = send(calm, "silences", silence([{"name": "a", "value": "(", "isRegex": True}]))
    assert answer.status_code == 400
    assert answer.get_json().startswith("silence invalid: invalid label matcher 0: the regular expression '(' is not")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_silence_that_is_not_there_is_not_found(calm: House, method: str) -> None:
    client, headers = calm.visitor(), calm.token("operator")
    answer = client.open(f"{URL}/silence/6a3d30b8-6f5f-4a2a-9b1c-000000000000", method=method, headers=headers)
    assert answer.status_code == 404
    answer = client.open(f"{URL}/silence/nonsense", method=method, headers=headers)
    said = {"code": 601, "message": 'silenceID in path must be of type uuid: "nonsense"'}
    assert (answer.status_code, answer.get_json()) == (422, said)


# --- the rest ----------------------------------------------------------------------------------------------------


def test_it_says_what_it_is_and_how_it_routes(house: House) -> None:
    routed(house)
    found = ask(house, "status")
    assert found["cluster"] == {"status": "disabled", "peers": []}
    assert found["versionInfo"]["version"] == "0.25.0"
    assert found["versionInfo"]["revision"].startswith("wakeless-")
    config = yaml.safe_load(found["config"]["original"])
    assert config["receivers"] == [{"name": "page"}, {"name": "db"}]
    assert config["route"]["routes"][0]["matchers"] == ['service="db"']
    assert config["inhibit_rules"] == [
        {"source_matchers": ['alertname="Down"'], "target_matchers": ['service="db"'], "equal": ["zone"]}
    ]


def test_a_route_that_continues_and_groups_by_everything_is_shown_so() -> None:
    below = Route("x", "", "", "page", tuple(parse_matchers("a=b")), group_by_all=True, continues=True)
    found = yaml.safe_load(
        configuration(Routing(Route("r", "", "", "page", routes=(below,)), {"page": Receiver("page")}))
    )
    assert found["route"]["routes"][0]["continue"] is True
    assert found["route"]["routes"][0]["group_by"] == ["..."]
    assert [duration(ms) for ms in (0, 30_000, 5_400_000, 90_061_001)] == ["0s", "30s", "1h30m", "1d1h1m1s1ms"]


def test_a_rota_is_shown_as_a_receiver_so_that_amtool_accepts_the_file(tmp_path: Path) -> None:
    file = tmp_path / "routing.yml"
    file.write_text(
        "route: {receiver: on-call}\n"
        "receivers: [{name: ann}, {name: bob}]\n"
        "rotas: [{name: on-call, start: 2026-01-05 09:00, period: 1w, receivers: [ann, bob]}]\n"
    )
    shown = yaml.safe_load(configuration(load_routing(file)))["receivers"]
    assert shown == [{"name": "ann"}, {"name": "bob"}, {"name": "on-call"}]


_LABELS = [
    {name: value for name, value in (("level", level), ("severity", severity)) if value}
    for level in ("", "1", "2", "3", "4")
    for severity in ("", "critical", "page", "error", "warning", "info", "odd")
]


@pytest.mark.parametrize("levels", [(1,), (2,), (3,), (2, 3), (1, 3), (1, 2, 3)])
def test_levels_are_shown_as_matchers_that_mean_the_same(levels: tuple[int, ...]) -> None:
    below = Route("x", "", "", "some", levels=levels)
    routing = Routing(Route("r", "", "", "page", routes=(below,)), {"page": Receiver("page"), "some": Receiver("some")})
    shown = yaml.safe_load(configuration(routing))["route"]["routes"]
    for labels in _LABELS:
        takes = [match_all(map(parse_matcher, route.get("matchers", [])), labels) for route in shown]
        assert sum(takes) == (routing.root.find(labels)[0].receiver == "some"), labels


def test_a_database_that_takes_nothing_is_worth_another_try(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageError("disk full at /secret/path", permanent=False)

    monkeypatch.setattr(house.services.alerts, "accept", fail)
    answer = send(house, "alerts", [alert("Down")])
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "secret" not in answer.text


def test_changes_take_an_operator(calm: House) -> None:
    assert send(calm, "alerts", [alert("Down")], role="viewer").status_code == 403
    assert send(calm, "silences", silence(), role="viewer").status_code == 403
    assert calm.visitor().post(f"{URL}/alerts", json=[]).status_code == 401

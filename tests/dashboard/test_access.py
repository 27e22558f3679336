"""Who may come in through which door."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import Rule

from dashboard.access import endpoints_without_rule, rule_of, safe_next
from tests.dashboard.house import ROLES, House, MakeHouse, log_in, page_token

#: What each rule lets through from another machine; a route whose rule is not here fails the test.
ALLOWED = {
    "public": {"nobody", *ROLES},
    "link": {"nobody", *ROLES},
    "asset": {"nobody", *ROLES},
    "predict": set(ROLES),
    "metrics": set(ROLES),
    "viewer": set(ROLES),
    "operator": {"operator", "admin"},
    "admin": {"admin"},
}
#: The doors as they are meant. A new route has to be added here, with the rule it was meant to have.
DOORS = {
    "/": "viewer",
    "/alerts": "viewer",
    "/rules": "viewer",
    "/incidents": "viewer",
    "/incidents/<int:incident_id>": "viewer",
    "/model": "viewer",
    "/explore": "viewer",
    "/storage": "viewer",
    "/runbook": "viewer",
    "/targets": "viewer",
    "/reports": "viewer",
    "/api/reports": "viewer",
    "/api/reports/list": "viewer",
    "/api/reports/send": "operator",
    "/targets/<name>": "viewer",
    "/requests": "viewer",
    "/logs": "viewer",
    "/checkup": "viewer",
    "/language/<code>": "public",
    "/assets/<version>/<path:name>": "asset",
    "/assets/plotly-<version>.min.js": "asset",
    "/static/<path:filename>": "asset",
    "/favicon.ico": "asset",
    "/samples/<name>": "viewer",
    "/login": "public",
    "/login/link/<token>": "public",
    "/logout": "viewer",
    "/live": "viewer",
    "/predict": "predict",
    "/api/v1/write": "operator",
    "/v1/metrics": "operator",
    "/push/<token>": "link",
    "GET /api/targets": "viewer",
    "POST /api/targets": "admin",
    "GET /api/targets/<name>": "viewer",
    "PUT /api/targets/<name>": "admin",
    "DELETE /api/targets/<name>": "admin",
    "/api/targets/check": "admin",
    "/api/targets/<name>/check": "operator",
    "/api/targets/<name>/pause": "operator",
    "/api/targets/<name>/standby": "operator",
    "/api/targets/<name>/try-again": "operator",
    "/api/outages.csv": "viewer",
    "/go/<target>": "predict",
    "/go/<target>/": "predict",
    "/go/<target>/<path:path>": "predict",
    "/push/<token>/fail": "link",
    "/v2": "predict",
    "/v2/health/live": "public",
    "/v2/health/ready": "public",
    "/v2/models/<model>": "predict",
    "/v2/models/<model>/ready": "predict",
    "/v2/models/<model>/infer": "predict",
    "/v2/models/<model>/versions/<version>": "predict",
    "/v2/models/<model>/versions/<version>/ready": "predict",
    "/v2/models/<model>/versions/<version>/infer": "predict",
    "/v2/repository/index": "predict",
    "/metrics": "metrics",
    "/health": "public",
    "/health/live": "public",
    "/health/ready": "public",
    "/health/startup": "public",
    "/api/": "viewer",
    "/api/openapi.json": "viewer",
    "/api/logs/events": "viewer",
    "/api/logs/sources": "viewer",
    "/api/logs/try": "operator",
    "/api/model": "viewer",
    "/api/model/restart": "operator",
    "/api/model/history": "viewer",
    "/api/model/versions": "viewer",
    "/api/model/version": "operator",
    "/api/model/comparison": "viewer",
    "/api/model/canary": "operator",
    "/api/model/canary/promote": "operator",
    "/api/model/canary/end": "operator",
    "/api/process/restart": "operator",
    "/api/alerts": "viewer",
    "/api/alerts/<int:alert_id>/ack": "operator",
    "GET /api/rules": "viewer",
    "PUT /api/rules": "admin",
    "/api/rules/check": "viewer",
    "/api/rules/preview": "viewer",
    "/api/rules/reload": "admin",
    "/api/rules/source": "viewer",
    "/api/rules/versions": "viewer",
    "/api/rules/versions/<int:version>": "viewer",
    "/api/rules/versions/<int:version>/restore": "admin",
    "/api/routing": "viewer",
    "/api/routing/explain": "viewer",
    "GET /api/channels": "viewer",
    "POST /api/channels": "admin",
    "/api/channels/<name>": "admin",
    "/api/channels/<name>/test": "admin",
    "/api/channels/test": "admin",
    "/api/notices": "viewer",
    "/api/notices/<int:notice_id>/retry": "operator",
    "/api/notices/<int:notice_id>": "operator",
    "/ack/<token>": "link",
    "GET /api/v2/alerts": "viewer",
    "POST /api/v2/alerts": "operator",
    "/api/v2/alerts/groups": "viewer",
    "/api/v2/receivers": "viewer",
    "GET /api/v2/silences": "viewer",
    "POST /api/v2/silences": "operator",
    "GET /api/v2/silence/<silence_id>": "viewer",
    "DELETE /api/v2/silence/<silence_id>": "operator",
    "/api/v2/status": "viewer",
    "/api/silences/preview": "viewer",
    "GET /api/maintenance": "viewer",
    "POST /api/maintenance": "operator",
    "/api/maintenance/<int:window_id>": "operator",
    "/api/incidents": "viewer",
    "/api/incidents/<int:incident_id>": "viewer",
    "/api/incidents/<int:incident_id>/notes": "operator",
    "/api/incidents.csv": "viewer",
    "/api/alerts.csv": "viewer",
    "/api/uptime": "viewer",
    "/api/failures": "viewer",
    "/api/actions": "viewer",
    "/api/events": "viewer",
    "/api/requests": "viewer",
    "/api/requests/errors": "viewer",
    "/api/requests/common": "viewer",
    "/api/requests/summary": "viewer",
    "/api/requests.csv": "viewer",
    "/api/logs/tail": "viewer",
    "/api/checkup": "viewer",
    "/api/support-bundle": "admin",
    "/api/audit": "admin",
    "/api/export.csv": "viewer",
    "/api/export/estimate": "viewer",
    "/api/panels": "viewer",
    "/api/storage": "viewer",
    "/api/v1/query": "viewer",
    "/api/v1/query_range": "viewer",
    "/api/v1/query_exemplars": "viewer",
    "/api/v1/series": "viewer",
    "/api/v1/labels": "viewer",
    "/api/v1/label/<name>/values": "viewer",
    "/api/v1/metadata": "viewer",
    "/api/v1/rules": "viewer",
    "/api/v1/alerts": "viewer",
    "/api/v1/status/buildinfo": "viewer",
    "/api/v1/status/runtimeinfo": "viewer",
    "/api/v1/status/flags": "viewer",
    "/api/v1/status/config": "viewer",
    "/api/v1/status/tsdb": "viewer",
    "/api/v1/targets": "viewer",
    "/api/v1/alertmanagers": "viewer",
}
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}


def address(rule: Rule) -> str:
    """An address that a rule matches."""
    return re.sub(r"<(?:(\w+):)?\w+>", lambda found: "1" if found[1] == "int" else "x", rule.rule)


def doors(app: Flask) -> list[tuple[Rule, str]]:
    """Every route with each of its methods."""
    return [(rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ())]


def rules_by_path(app: Flask) -> dict[str, str | None]:
    """The rule of every path; where its methods have different ones, that of each, as ``PUT /path``."""
    found: dict[str, dict[str, str | None]] = {}
    for rule in app.url_map.iter_rules():
        methods = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        found.setdefault(rule.rule, {})[methods] = rule_of(app, rule.endpoint)
    named: dict[str, str | None] = {}
    for path, kinds in found.items():
        if len(set(kinds.values())) == 1:
            named[path] = next(iter(kinds.values()))
        else:
            named |= {f"{methods} {path}": kind for methods, kind in kinds.items()}
    return named


def test_every_route_has_the_rule_that_it_was_meant_to_have(calm: House) -> None:
    assert endpoints_without_rule(calm.app) == []
    assert rules_by_path(calm.app) == DOORS


@pytest.mark.parametrize("who", ["nobody", *ROLES])
def test_it_lets_through_exactly_the_roles_of_the_rule(make_house: MakeHouse, who: str) -> None:
    house = make_house(server={"host": "0.0.0.0"})
    # What the views do is not asked here; each would change something, or wait.
    for endpoint, view in house.app.view_functions.items():
        stand_in = _stand_in()
        stand_in.__dict__.update(view.__dict__)
        if endpoint != "static":
            house.app.view_functions[endpoint] = stand_in
    client, headers = house.visitor(), {} if who == "nobody" else house.token(who)
    for rule, method in doors(house.app):
        if method == "OPTIONS" or rule.endpoint == "static" or rule.websocket:
            continue
        kind = rule_of(house.app, rule.endpoint)
        assert kind is not None
        if kind == "public" and method == "POST":
            continue  # asks for the form's token, whoever comes
        answer = client.open(address(rule), method=method, headers=headers, environ_overrides=ELSEWHERE)
        came_in = answer.status_code == 204
        assert came_in == (who in ALLOWED[kind]), f"{who} {method} {rule.rule}: {answer.status_code}"
        if not came_in and who != "nobody":
            assert answer.status_code == 403


def _stand_in() -> Callable[..., tuple[str, int]]:
    def view(**_: object) -> tuple[str, int]:
        return "", 204

    return view


def test_a_view_without_a_rule_is_refused(house: House) -> None:
    house.app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    answer = house.visitor().get("/forgotten", headers=house.token("admin"))
    assert answer.status_code == 403
    assert "secret" not in answer.text
    assert endpoints_without_rule(house.app) == ["forgotten"]


def test_a_page_sends_a_stranger_to_the_login_and_back(calm: House) -> None:
    answer = calm.visitor().get("/alerts?state=firing")
    assert answer.status_code == 302
    assert answer.location == "/login?next=/alerts%3Fstate%3Dfiring"
    assert calm.visitor().get("/").location == "/login"


def test_an_api_call_of_a_stranger_is_told_how_to_come_in(calm: House) -> None:
    answer = calm.visitor().get("/api/model")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "token create" in answer.json["suggestion"]  # type: ignore[index]


def test_a_role_that_is_too_low_is_told_which_one_it_takes(calm: House) -> None:
    answer = calm.visitor().get("/api/audit", headers=calm.token("operator"))
    assert answer.status_code == 403
    assert answer.json["required_role"] == "admin"  # type: ignore[index]
    assert "role admin" in answer.json["detail"]  # type: ignore[index]


def test_a_wrong_token_is_refused_even_where_the_door_is_open(calm: House) -> None:
    answer = calm.visitor().get("/metrics", headers={"Authorization": "Bearer wl_nonsense"})
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_a_wrong_token_on_a_page_is_an_error_page(calm: House) -> None:
    answer = calm.visitor().get("/", headers={"Authorization": "Bearer wl_nonsense"})
    assert answer.status_code == 401
    assert answer.mimetype == "text/html"


def test_a_request_with_a_token_never_uses_the_cookie(house: House) -> None:
    client = house.person("admin")
    assert client.get("/api/audit").status_code == 200
    assert client.get("/api/audit", headers=house.token("viewer")).status_code == 403
    assert client.get("/api/audit", headers={"Authorization": "Bearer wl_nonsense"}).status_code == 401


def test_health_is_open_to_everyone(make_house: MakeHouse) -> None:
    house = make_house(server={"host": "0.0.0.0"})
    answer = house.visitor().get("/health/live", environ_overrides=ELSEWHERE)
    assert answer.status_code == 200


def test_an_anonymous_visitor_may_look_where_the_settings_say_so(make_house: MakeHouse) -> None:
    house = make_house(auth={"anonymous": "viewer"}, server={"host": "0.0.0.0"})
    client = house.visitor()
    assert client.get("/api/model", environ_overrides=ELSEWHERE).status_code == 200
    assert client.get("/metrics", environ_overrides=ELSEWHERE).status_code == 200
    assert client.post("/api/v1/query", data={"query": "1"}, environ_overrides=ELSEWHERE).status_code == 200
    assert client.post("/api/model/restart", environ_overrides=ELSEWHERE).status_code == 401
    assert client.post("/predict", data=b"x", environ_overrides=ELSEWHERE).status_code == 401


# --- /predict and /metrics --------------------------------------------------------------------------------------


def test_on_this_machine_the_first_curl_works(calm: House) -> None:
    client = calm.visitor()
    assert client.get("/metrics").status_code == 200
    assert client.post("/predict", data=b"x").status_code == 503  # came in: there is no model


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto"]
)
def test_what_came_through_a_proxy_needs_a_token(calm: House, header: str) -> None:
    client = calm.visitor()
    assert client.get("/metrics", headers={header: "203.0.113.9"}).status_code == 401
    assert client.post("/predict", data=b"x", headers={header: "203.0.113.9"}).status_code == 401
    assert client.get("/metrics", headers={header: "203.0.113.9"} | calm.token("viewer")).status_code == 200


def test_bound_elsewhere_even_a_local_caller_needs_a_token(make_house: MakeHouse) -> None:
    house = make_house(server={"host": "0.0.0.0"})
    assert house.visitor().get("/metrics").status_code == 401
    assert house.visitor().post("/predict", data=b"x").status_code == 401


def test_the_settings_open_and_close_the_program_doors(make_house: MakeHouse) -> None:
    opened = make_house(server={"host": "0.0.0.0"}, auth={"open_metrics": True, "open_predict": True})
    assert opened.visitor().get("/metrics", environ_overrides=ELSEWHERE).status_code == 200
    assert opened.visitor().post("/predict", data=b"x", environ_overrides=ELSEWHERE).status_code == 503
    closed = make_house(auth={"open_metrics": False, "open_predict": False})
    assert closed.visitor().get("/metrics").status_code == 401
    assert closed.visitor().post("/predict", data=b"x").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_may_not_use_the_model_through_a_browser(calm: House, headers: dict[str, str]) -> None:
    answer = calm.visitor().post("/predict", data=b"x", headers=headers)
    assert answer.status_code == 403
    assert answer.json["type"] == "urn:wakeless:problem:cross-site"  # type: ignore[index]
    assert calm.person("viewer").post("/predict", data=b"x", headers=headers).status_code == 403


def test_our_own_page_may_use_the_model(house: House) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert house.person("viewer").post("/predict", data=b"x", headers=headers).status_code == 503


# --- the host name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "127.8.8.8", "localhost.:8000"])
def test_it_answers_to_this_machines_own_names(calm: House, host: str) -> None:
    assert calm.visitor().get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "192.0.2.1"])
@pytest.mark.parametrize("path", ["/", "/health/live", "/metrics", "/api/model", "/static/css/base.css", "/nothing"])
def test_a_name_that_was_pointed_here_gets_no_answer(calm: House, host: str, path: str) -> None:
    answer = calm.visitor().get(path, headers={"Host": host} | calm.token("admin"))
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["x" * 64, f"a.{'x' * 100}.example:80", ".".join(["x" * 60] * 5)])
@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("path", ["/", "//", "/login", "/health/live", "/predict", "/nothing"])
def test_a_name_that_no_host_can_have_is_the_callers_mistake(
    make_house: MakeHouse, host: str, bound: str, path: str
) -> None:
    client = make_house(server={"host": bound}).visitor()
    assert client.open(path, method="PATCH" if path == "//" else "GET", headers={"Host": host}).status_code == 400


def test_behind_a_trusted_proxy_its_host_name_is_answered(make_house: MakeHouse) -> None:
    house = make_house(server={"trusted_proxies": 1})
    client = house.visitor()
    proxied = {"Host": "127.0.0.1:8000", "X-Forwarded-Host": "gpu.example.com", "X-Forwarded-For": "203.0.113.9"}
    assert client.get("/health/live", headers=proxied).status_code == 200
    assert client.get("/metrics", headers=proxied).status_code == 401
    assert client.get("/health/live", headers={"Host": "gpu.example.com"}).status_code == 421


def test_bound_elsewhere_any_host_name_is_answered(make_house: MakeHouse) -> None:
    house = make_house(server={"host": "0.0.0.0"})
    assert house.visitor().get("/health/live", headers={"Host": "gpu.example.com"}).status_code == 200


# --- forms and scripts of our own page --------------------------------------------------------------------------


def test_a_change_by_session_needs_the_pages_token(house: House) -> None:
    client = house.person("operator")
    answer = client.post("/api/model/restart", json={})
    assert answer.status_code == 403
    assert answer.json["type"] == "urn:wakeless:problem:csrf"  # type: ignore[index]
    wrong = client.post("/api/model/restart", json={}, headers={"X-CSRF-Token": "nonsense"})
    assert wrong.status_code == 403
    assert client.post("/api/model/restart", json={}, headers=page_token(client)).status_code == 409  # no model


def test_another_persons_token_does_not_do(house: House) -> None:
    stolen = page_token(house.visitor())
    assert house.person("operator").post("/api/model/restart", json={}, headers=stolen).status_code == 403


def test_a_change_from_another_site_is_refused_whatever_it_carries(house: House) -> None:
    client = house.person("operator")
    headers = page_token(client) | {"Origin": "http://localhost:3000"}
    assert client.post("/api/model/restart", json={}, headers=headers).status_code == 403


def test_a_program_needs_no_page(house: House) -> None:
    answer = house.visitor().post("/api/model/restart", json={}, headers=house.token("operator"))
    assert answer.status_code == 409  # came in: there is no model


# --- sessions ---------------------------------------------------------------------------------------------------


def test_a_new_password_ends_every_session(house: House) -> None:
    client = house.person("viewer")
    assert client.get("/api/model").status_code == 200
    house.services.accounts.set_password("person-viewer", "another long password")
    assert client.get("/api/model").status_code == 401


def test_a_user_who_is_locked_out_is_out_at_once(house: House) -> None:
    house.services.accounts.create_user("root", "correct horse battery", "admin")
    client = house.person("viewer")
    house.services.accounts.set_disabled("person-viewer", True)
    assert client.get("/api/model").status_code == 401


def test_a_session_does_not_travel_to_another_browser(house: House) -> None:
    client = house.person("viewer")
    assert client.get("/api/model", headers={"User-Agent": "somebody else's"}).status_code == 401


def test_a_session_ends_after_its_hours(make_house: MakeHouse) -> None:
    house = make_house(auth={"session_hours": 1})
    client = house.person("viewer")
    _age(client, 3599)
    assert client.get("/api/model").status_code == 200
    _age(client, 2)
    assert client.get("/api/model").status_code == 401


def _age(client: FlaskClient, seconds: int) -> None:
    with client.session_transaction(environ_overrides={"HTTP_USER_AGENT": "x"}) as session:
        session["since"] -= seconds


@pytest.mark.parametrize("value", ["", "x", "1", "1.0.0", "999.0", "\u00b2.0", "-1.0"])
def test_a_cookie_that_names_nobody_is_nobody(house: House, value: str) -> None:
    client = house.person("viewer")
    with client.session_transaction() as session:
        session["_user_id"] = value
    assert client.get("/api/model").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(make_house: MakeHouse) -> None:
    house = make_house(server={"secure_cookies": True, "port": 8123})
    house.services.accounts.create_user("ada", "correct horse battery", "viewer")
    client = house.app.test_client()
    page = client.get("/login", base_url="https://localhost")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("wakeless_8123=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" in cookie


def test_a_login_does_not_keep_what_was_in_the_session_before(house: House) -> None:
    client = house.visitor()
    with client.session_transaction() as session:
        session["planted"] = "by somebody"
    house.services.accounts.create_user("ada", "correct horse battery", "viewer")
    assert log_in(client, "ada", "correct horse battery").status_code == 303
    with client.session_transaction() as session:
        assert "planted" not in session


# --- where to go after a login ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        *(
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "evil",
            "javascript:x",
        ),
        *(
            "/\t/evil.example",
            "/ok\r\nSet-Cookie: a=b",
            " /ok",
            "",
            None,
            "/\x00",
            "///evil.example",
            "/ /evil.example",
        ),
    ],
)
def test_nobody_is_sent_to_another_site(target: str | None) -> None:
    assert safe_next(target) == "/"


@pytest.mark.parametrize("target", ["/", "/alerts", "/alerts?state=firing&x=//y", "/model#checks"])
def test_a_path_of_this_site_is_kept(target: str) -> None:
    assert safe_next(target) == target


@given(st.text(alphabet=st.sampled_from("/\\.:@?#ae \t\n\r\x00\u3000"), max_size=12))
def test_whatever_comes_out_is_a_path_of_this_site(target: str) -> None:
    found = safe_next(target)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert not set(found) & set("\\\t\n\r\x00 ")

"""Every error says what happened in one shape, and nothing about the inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from dashboard.access import public
from dashboard.problem import TITLES, TYPE_PREFIX, Problem, for_program
from storage.error import StorageError
from tests.dashboard.house import House

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def problem(answer: TestResponse) -> dict[str, Any]:
    """The document, after a look at its shape."""
    assert answer.mimetype == "application/problem+json"
    document: dict[str, Any] = answer.get_json()
    assert document["type"].startswith(TYPE_PREFIX)
    assert document["title"] == TITLES[document["type"].removeprefix(TYPE_PREFIX)]
    assert document["status"] == answer.status_code
    assert len(document["detail"]) > 5
    assert document["request_id"] == answer.headers["X-Request-ID"]
    return document


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/health/nothing", 404),
        ("GET", "/predict/nothing", 404),
        ("GET", "/predict", 405),
        ("POST", "/metrics", 405),
        ("POST", "/health", 405),
        ("DELETE", "/api/model", 405),
        ("PUT", "/api/v1/query", 405),
        ("GET", "/api/events?start=yesterday", 422),
        ("GET", "/api/requests?limit=0", 422),
        ("POST", "/api/alerts/7/ack", 422),
        ("DELETE", "/api/alerts/7/ack", 404),
        ("GET", "/api/alerts/99999999999999999999999999/ack", 405),
        ("GET", "/api/export.csv?match[]=rate(x[5m])", 400),
    ],
)
def test_an_error_for_a_program_is_a_problem_document(calm: House, method: str, path: str, status: int) -> None:
    answer = calm.visitor().open(path, method=method, headers=calm.token("admin"))
    assert answer.status_code == status
    problem(answer)


def test_a_method_that_is_not_allowed_names_those_that_are(calm: House) -> None:
    answer = calm.visitor().get("/predict")
    assert "POST" in answer.headers["Allow"]


def test_a_body_that_is_no_json_is_refused_by_kind(calm: House) -> None:
    client, headers = calm.visitor(), calm.token("operator")
    not_json = client.post("/api/model/restart", data="reason=x", headers=headers, content_type="text/plain")
    assert not_json.status_code == 415
    problem(not_json)
    broken = client.post("/api/model/restart", data="{", headers=headers, content_type="application/json")
    assert broken.status_code == 400
    problem(broken)


@pytest.mark.parametrize("body", ['{"reason": 1}', '{"reasn": "typo"}', "[]", '"x"', '{"reason": "' + "x" * 501 + '"}'])
def test_a_body_that_does_not_fit_names_the_field(calm: House, body: str) -> None:
    answer = calm.visitor().post(
        "/api/model/restart", data=body, headers=calm.token("operator"), content_type="application/json"
    )
    assert answer.status_code == 422
    assert problem(answer)["field"]


def test_a_large_body_where_none_is_expected_is_refused(calm: House) -> None:
    answer = calm.visitor().post(
        "/api/model/restart", data=b"x" * 2_000_000, headers=calm.token("operator"), content_type="application/json"
    )
    assert answer.status_code == 413
    problem(answer)


def test_an_error_for_a_person_is_a_page(calm: House) -> None:
    answer = calm.visitor().get("/nothing")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert TITLES["not-found"] in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


@pytest.mark.parametrize("path", ["/broken", "/api/broken"])
def test_a_bug_of_ours_is_told_without_its_inside(house: House, path: str) -> None:
    @public
    def broken() -> str:
        secret = "the password is swordfish"
        raise RuntimeError(secret)

    house.app.add_url_rule(path, "broken", broken)
    answer = house.visitor().get(path)
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    logged = (house.data_dir / "wakeless.log").read_text(encoding="utf-8")
    assert "unhandled_error" in logged
    assert "swordfish" in logged
    assert answer.headers["X-Request-ID"] in logged


@pytest.mark.parametrize(("permanent", "retry"), [(False, "5"), (True, None)])
def test_a_database_that_does_not_answer_is_said_without_its_path(
    house: House, permanent: bool, retry: str | None
) -> None:
    @public
    def stuck() -> str:
        raise StorageError("the database /srv/data/wakeless.db is busy", permanent=permanent)

    house.app.add_url_rule("/api/stuck", "stuck", stuck)
    answer = house.visitor().get("/api/stuck")
    assert answer.status_code == 503
    assert "/srv" not in answer.text
    assert problem(answer)["type"] == TYPE_PREFIX + "storage-unavailable"
    assert answer.headers.get("Retry-After") == retry


def test_a_broken_error_page_still_tells_the_error(calm: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from jinja2 import TemplateNotFound

    def fail(*_: object, **__: object) -> str:
        raise TemplateNotFound("error.html")

    monkeypatch.setattr("dashboard.problem.render_template", fail)
    answer = calm.visitor().get("/nothing")
    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"
    assert TITLES["not-found"] in answer.text


def test_a_kind_that_has_no_title_is_a_mistake_of_ours() -> None:
    for slug in TITLES:
        assert Problem(400, slug, "x").type == slug
    assert not {slug for slug in TITLES if slug != slug.lower() or " " in slug}


def test_every_refusal_of_the_model_has_a_title() -> None:
    from model.errors import Refusal

    kinds: set[type[Refusal]] = {Refusal, *Refusal.__subclasses__()}
    assert {kind.type for kind in kinds} <= set(TITLES)


def test_every_kind_of_problem_is_explained_in_the_docs() -> None:
    page = API_PAGE.read_text(encoding="utf-8")
    for slug, title in TITLES.items():
        assert f"| `{slug}` | {title}" in page, slug


@pytest.mark.parametrize(
    ("path", "program"),
    [
        ("/api", True),
        ("/api/", False),
        ("/api/x", True),
        ("/apix", False),
        ("/predict", True),
        ("/", False),
        ("/health/live", True),
        ("/metrics", True),
        ("/live", True),
        ("/login", False),
        ("/model", False),
    ],
)
def test_it_knows_who_reads_an_error(path: str, program: bool) -> None:
    assert for_program(path) is program

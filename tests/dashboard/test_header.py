"""The headers that keep a browser from being used against its owner."""

from __future__ import annotations

import pytest

from dashboard.header import HEADERS
from tests.dashboard.house import House

PATHS = ["/", "/login", "/nothing", "/health", "/metrics", "/api/model", "/api/nothing", "/favicon.ico", "/predict"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_security_headers(calm: House, path: str) -> None:
    headers = calm.visitor().get(path, headers={"Accept": "*/*"}).headers
    for name, value in HEADERS.items():
        assert headers.getlist(name) == [value]


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/favicon.ico"])
def test_pages_and_answers_are_not_kept(calm: House, path: str) -> None:
    assert calm.visitor().get(path).headers["Cache-Control"] == "no-store"


def test_the_policy_allows_no_inline_script_and_no_other_host(house: House) -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "http" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/login", "/nothing", "/api/"])
def test_our_pages_keep_to_the_policy(calm: House, path: str) -> None:
    page = calm.person("viewer").get(path).text
    scripts = [part for part in page.split("<script")[1:] if 'type="application/json"' not in part.split(">")[0]]
    assert all("src=" in script.split(">")[0] for script in scripts)
    assert " onclick=" not in page
    assert "javascript:" not in page

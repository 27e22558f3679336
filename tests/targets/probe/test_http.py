"""HTTP probes against nginx and a Flask application, and what they make of the answers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

from config_target import HttpProbe
from targets.probe.http import look
from targets.probe.outcome import Outcome
from tests.running import eventually, free_port
from tests.targets.probe.played import dripping, http, played

NGINX = "/usr/sbin/nginx"


def _look(url: str, **settings: Any) -> Outcome:
    return look(HttpProbe.model_validate({"url": url, "timeout": 2, **settings}))


def _application() -> Flask:
    app = Flask("neighbour")

    @app.get("/")
    def root() -> str:
        return "All systems are well. 一切正常"

    @app.get("/health")
    def health() -> Response:
        return jsonify(checks={"api": True, "model": False}, version="1.4.2", queue=[{"n": 0}, {"n": 3}], none=None)

    @app.route("/status/<int:status>", methods=["GET", "HEAD", "POST", "PUT", "OPTIONS"])
    def status(status: int) -> tuple[str, int]:
        return "", status

    @app.get("/slow")
    def slow() -> str:
        time.sleep(0.3)
        return "at last"

    @app.get("/old")
    def old() -> Any:
        return redirect("/")

    @app.post("/echo")
    def echo() -> Response:
        return jsonify(body=request.get_data(as_text=True), auth=request.headers.get("Authorization"))

    return app


@pytest.fixture(scope="module")
def flask_url() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Debian's nginx with a configuration of its own, in the foreground."""
    (folder / "index.html").write_text("<h1>Welcome</h1>")
    (folder / "nginx.conf").write_text(
        f"""
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port}; root {folder};
    location = /loop {{ return 302 /loop; }}
    location = /gone {{ return 503; }}
    location = /metadata {{ return 302 http://169.254.169.254/latest/meta-data/; }}
  }}
}}
"""
    )
    command = [NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(not os.path.exists(NGINX), reason="nginx is not installed")
def test_nginx_is_up_while_it_serves_and_down_when_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    with nginx(tmp_path, port):
        found = eventually(lambda: (it := _look(url, contains="Welcome")).success and it, what="nginx answers")
        assert isinstance(found, Outcome)
        assert (found.status, found.reason, found.detail["status"]) == (200, "", 200)
        assert found.phases["processing"] > 0
        assert _look(f"{url}/loop").reason == "redirects in a circle"
        assert _look(f"{url}/gone").reason == "HTTP 503 Service Unavailable"
        assert _look(f"{url}/gone", status=503).success
        assert "no target may" in _look(f"{url}/metadata").reason
        assert _look(f"{url}/loop", status=[302]).success
        assert _look(f"{url}/missing").status == 404
    assert _look(url).reason == "refuses the connection"


@pytest.mark.parametrize(
    ("status", "wanted", "success"),
    [(200, ["2xx"], True), (204, ["2xx"], True), (204, [200], False), (404, ["2xx", 404], True), (500, ["5xx"], True)],
)
def test_statuses_and_classes_say_what_is_well(flask_url: str, status: int, wanted: list[Any], success: bool) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
        outcome = _look(f"{flask_url}/status/{status}", status=wanted, method=method)
        assert (outcome.success, outcome.status) == (success, status)


def test_text_must_be_in_the_body_or_not(flask_url: str) -> None:
    assert _look(flask_url, contains="一切正常").success
    assert _look(flask_url, contains="systems", excludes="error").success
    assert _look(flask_url, contains="teapot").reason == "“teapot” is not in the body"
    assert _look(flask_url, excludes="well").reason == "“well” is in the body"


CONDITIONS: dict[str, tuple[dict[str, Any], bool | None, str]] = {
    "there": ({"path": "$.version"}, True, ""),
    "true": ({"path": "$.checks.api"}, True, ""),
    "false": ({"path": "$.checks.model"}, False, "$.checks.model is false"),
    "null": ({"path": "$.none"}, False, "$.none is null"),
    "missing": ({"path": "$.checks.gpu"}, False, "$.checks.gpu is not in the body"),
    "equal": ({"path": "$.version", "equals": "1.4.2"}, True, ""),
    "not equal": ({"path": "$.checks.model", "equals": True}, False, "$.checks.model is not true"),
    "true is not one": ({"path": "$.checks.api", "equals": 1}, False, "$.checks.api is not 1"),
    "false is what is wanted": ({"path": "$.checks.model", "equals": False}, True, ""),
    "one of several": ({"path": "$.queue[*].n", "equals": 3}, True, ""),
    "a filter": ({"path": "$.queue[?@.n > 2].n"}, True, ""),
    "matches": ({"path": "$.version", "matches": r"1\.\d+\.\d+"}, True, ""),
    "matches not": ({"path": "$.version", "matches": "1"}, False, "$.version does not match 1"),
    "search in the path": ({"path": "$[?search(@, '1[.]4')]"}, True, ""),
    "no path": ({"path": "$.["}, None, "the condition cannot be understood"),
    "no expression": ({"path": "$.version", "matches": "("}, None, "the condition cannot be understood"),
    "too deep a search": ({"path": "$..a..b..c"}, None, "more than 2 searches"),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_body_of_json_is_held_against_a_path(flask_url: str, name: str) -> None:
    condition, success, reason = CONDITIONS[name]
    outcome = _look(f"{flask_url}/health", json=condition)
    assert outcome.success is success
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"{}", "is not in the body"),
    ],
)
def test_a_body_that_is_none_is_told(body: bytes, reason: str) -> None:
    with played(http("200 OK", body)) as server:
        outcome = _look(f"http://127.0.0.1:{server.port}/", json={"path": "$..a"})
    assert outcome.success is False
    assert reason in outcome.reason


def test_an_expression_in_a_path_cannot_hang_on_what_a_stranger_sends() -> None:
    body = json.dumps({"a": "a" * 50_000 + "!"}).encode()
    began = time.monotonic()
    with played(http("200 OK", body)) as server:
        outcome = _look(f"http://127.0.0.1:{server.port}/", json={"path": "$[?match(@, '(a|a)*(a|a)*b')]"})
    assert outcome.success is False
    assert time.monotonic() - began < 5


def test_a_large_document_is_searched_in_bounded_time() -> None:
    body = json.dumps([[{"a": n, "b": [n]} for n in range(10)] for _ in range(2000)]).encode()
    began = time.monotonic()
    with played(http("200 OK", body)) as server:
        outcome = _look(f"http://127.0.0.1:{server.port}/", json={"path": "$..a", "equals": "none"}, timeout=10)
    assert outcome.success is False
    assert time.monotonic() - began < 10


def test_of_a_body_without_end_the_first_mebibyte_is_looked_at() -> None:
    with played(dripping(b"HTTP/1.1 200 OK\r\n\r\nbegin", b"a" * 65536, 0)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert _look(url).success
        assert _look(url, contains="begin").success
        assert _look(url, contains="end").reason == "“end” is not in the first MiB of the body"
        assert "longer than 1 MiB" in _look(url, json={"path": "$.a"}).reason


def test_a_compressed_body_that_nobody_asked_for_is_not_unpacked() -> None:
    with played(http("200 OK", b"\x1f\x8b", "Content-Encoding: gzip")) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert _look(url).success
        assert "compressed" in _look(url, contains="a").reason


def test_one_that_is_slower_than_it_may_be_fails_and_one_that_is_far_slower_is_given_up(flask_url: str) -> None:
    slow = f"{flask_url}/slow"
    assert _look(slow).success
    assert _look(slow, latency="200ms").reason == "took longer than 0.2 s"
    assert _look(slow, timeout=0.1).reason == "no answer within 0.1 s, while waiting for the answer"


def test_credentials_and_bodies_are_sent(flask_url: str) -> None:
    ask = {"method": "POST", "body": "question", "json": {"path": "$.body", "equals": "question"}}
    assert _look(f"{flask_url}/echo", **ask).success
    basic = {"path": "$.auth", "equals": "Basic bWU6c2VjcmV0"}
    assert _look(f"{flask_url}/echo", method="POST", username="me", password="secret", json=basic).success
    bearer = {"path": "$.auth", "equals": "Bearer token"}
    assert _look(f"{flask_url}/echo", method="POST", bearer_token="token", json=bearer).success


def test_redirects_are_followed_and_what_is_shown_of_the_url_is_no_secret(flask_url: str) -> None:
    outcome = _look(flask_url.replace("://", "://user:word@") + "/old?key=1")
    assert outcome.success
    assert outcome.detail["url"] == f"{flask_url}/"

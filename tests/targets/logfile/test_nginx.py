"""The profile for nginx against what Debian's nginx writes."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config_target import LogTarget
from targets.logfile.entry import Entry
from targets.logfile.matching import Matcher
from tests.running import eventually, free_port

NGINX = "/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(not os.path.exists(NGINX), reason="nginx is not installed")


@contextmanager
def nginx(folder: Path, port: int, dead_port: int) -> Iterator[None]:
    """An nginx that logs in the combined format, and with times; one of its locations has nobody behind it."""
    (folder / "index.html").write_text("<h1>Welcome</h1>")
    (folder / "nginx.conf").write_text(
        f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_time';
  access_log {folder}/combined.log; access_log {folder}/timed.log timed;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port}; root {folder};
    location = /gone {{ return 503; }}
    location = /behind {{ proxy_pass http://127.0.0.1:{dead_port}; }}
  }}
}}
"""
    )
    command = [NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def status_of(url: str) -> int | None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": 'a "quoted" one'})) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def read(path: Path) -> Matcher:
    matcher = Matcher("web", path.name, LogTarget(path=str(path), profile="nginx"))
    matcher.feed([Entry(line, 1000, 1, len(line)) for line in path.read_text().splitlines()], 1000)
    return matcher


def counts(matcher: Matcher, name: str) -> dict[str, float]:
    return {dict(one.labels)["class"]: one.value for one in matcher.samples(1000) if one.name == name}


def test_requests_durations_and_a_dead_service_are_read_from_nginxs_own_logs(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with nginx(tmp_path, port, free_port()):
        eventually(lambda: status_of(url) == 200, what="nginx answers")
        asked = [status_of(f"{url}{path}") for path in ("/gone", "/missing", "/behind", "/behind", "/behind")]
        assert asked == [503, 404, 502, 502, 502]
    requests = {"2": 1.0, "4": 1.0, "5": 4.0}
    assert counts(read(tmp_path / "combined.log"), "nginx_log_requests_total") == requests
    assert counts(read(tmp_path / "combined.log"), "nginx_log_request_duration_seconds_count") == {}
    assert counts(read(tmp_path / "timed.log"), "nginx_log_requests_total") == requests
    assert counts(read(tmp_path / "timed.log"), "nginx_log_request_duration_seconds_count") == requests
    assert read(tmp_path / "error.log").active == {"Upstream failed"}

"""amtool, Prometheus and Alertmanager themselves, against our side of Alertmanager's API."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from werkzeug.serving import make_server

from alerts.delivery.spec import ChannelSpec
from alerts.routing.default import default_routing
from alerts.routing.tree import Receiver, Route, Routing
from tests.contracts.peer import Answer
from tests.dashboard.house import House, open_house
from tests.dashboard.test_alertmanager import at
from tests.running import eventually, free_port

pytestmark = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path / "data") as house:
        yield house


@pytest.fixture
def url(house: House) -> Iterator[str]:
    """The real app on loopback."""
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Api:
    """A server that speaks Alertmanager's API."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url = url
        self._headers = headers or {}

    def fetch(self, path: str, method: str = "GET", document: object = None) -> Answer:
        """Status, and the document if there is one."""
        body = None if method != "POST" else json.dumps(document).encode()
        headers = self._headers | {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        return Answer(status, json.loads(text) if text else None)

    def send(self, path: str, document: object) -> Answer:
        """Post JSON."""
        return self.fetch(path, "POST", document)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


# --- amtool ------------------------------------------------------------------------------------------------------


class Amtool:
    """amtool with a token in its file."""

    def __init__(self, url: str, token: dict[str, str], folder: Path) -> None:
        file = folder / f"http-{len(token)}.yml"
        file.write_text(f"authorization: {{credentials: {token['Authorization'].removeprefix('Bearer ')}}}\n")
        self._command = ["amtool", f"--alertmanager.url={url}", f"--http.config.file={file}"]

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], input=given, capture_output=True, text=True, check=False, timeout=30
        )

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr  # of another version
        return done.stdout.strip()

    def json(self, *arguments: str) -> Any:
        return json.loads(self("--output=json", *arguments))


@pytest.fixture
def amtool(house: House, url: str, tmp_path: Path) -> Amtool:
    return Amtool(url, house.token("operator"), tmp_path)


def test_amtool_adds_and_lists_alerts(amtool: Amtool, house: House) -> None:
    amtool("alert", "add", "Down", "service=db", "--annotation=summary=The database is down")
    amtool("alert", "add", "alertname=Slow", "service=web")
    amtool("alert", "add", "Over", f"--start={at(-10)}", f"--end={at(-5)}")
    assert sorted(one.rule for one in house.services.alerts.current()) == ["Down", "Slow"]
    lines = amtool("alert", "query", "service=db").splitlines()
    assert len(lines) == 2
    assert re.match(r"Down +\S+ \S+ UTC +The database is down +active", lines[1]), lines
    assert [one["labels"]["service"] for one in amtool.json("alert", "query", "service=~w.*")] == ["web"]
    assert [one["labels"]["alertname"] for one in amtool.json("alert", "query", "Down")] == ["Down"]
    assert amtool.json("alert", "query", "--receiver=nobody") == []
    assert "service" in amtool("--output=extended", "alert", "query")


def test_amtool_silences_changes_and_expires(amtool: Amtool) -> None:
    amtool("alert", "add", "Down", "service=db")
    id = amtool("silence", "add", "service=~d.", "zone=", "--author=ada", "--comment=new disk", "--duration=2h")
    assert re.fullmatch(r"[0-9a-f-]{36}", id)
    assert amtool.json("alert", "query", "--active") == []
    [silenced] = amtool.json("alert", "query", "--silenced")
    assert silenced["status"]["silencedBy"] == [id]
    [found] = amtool.json("silence", "query")
    assert (found["createdBy"], found["comment"]) == ("ada", "new disk")
    assert amtool("silence", "query", "-q") == id
    amtool("silence", "update", id, "--duration=4h", "--comment=takes longer")
    assert [(one["id"], one["comment"]) for one in amtool.json("silence", "query")] == [(id, "takes longer")]
    amtool("silence", "expire", id)
    assert amtool.json("silence", "query") == []
    assert [one["id"] for one in amtool.json("silence", "query", "--expired")] == [id]
    assert len(amtool.json("alert", "query", "--active")) == 1


def test_amtool_finds_silences_by_matcher_and_moment(amtool: Amtool) -> None:
    id = amtool("silence", "add", "Down", "service=db", "--author=ada", "--comment=x")
    later = amtool("silence", "add", "Down", "service=web", f"--start={at(60)}", f"--end={at(120)}", "--comment=y")
    assert amtool("silence", "query", "-q", "service=db") == id
    assert set(amtool("silence", "query", "-q").split()) == {id, later}
    assert "pending" in json.dumps(amtool.json("silence", "query", "service=web"))


def test_amtool_imports_what_it_exported(amtool: Amtool) -> None:
    id = amtool("silence", "add", 'service="a b"', "--author=ada", "--comment=x")
    exported = amtool("--output=json", "silence", "query")
    amtool("silence", "expire", id)
    amtool("silence", "import", "--force", given=exported)
    [found] = amtool.json("silence", "query")
    assert found["id"] != id
    assert found["matchers"] == [{"name": "service", "value": "a b", "isRegex": False, "isEqual": True}]


def test_amtool_shows_what_is_wrong(amtool: Amtool) -> None:
    done = amtool.run("silence", "add", "service=~.*", "--comment=x")
    assert done.returncode != 0
    assert "at least one matcher must not match the empty string" in done.stderr
    done = amtool.run("silence", "update", "6a3d30b8-6f5f-4a2a-9b1c-000000000000", "--comment=x")
    assert done.returncode != 0
    assert "NotFound" in done.stderr
    done = amtool.run("silence", "expire", "6a3d30b8-6f5f-4a2a-9b1c-000000000000")
    assert done.returncode != 0
    assert "404" in done.stderr


def test_amtool_shows_configuration_and_cluster(amtool: Amtool) -> None:
    assert "receiver: page" in amtool("config", "show")
    assert "page" in amtool("config", "routes", "show")
    assert amtool("config", "routes", "test", "alertname=Down") == "page"
    assert "disabled" in amtool("cluster", "show")


def test_amtool_tests_routes_by_level_as_we_route(amtool: Amtool, house: House) -> None:
    channels = [
        ChannelSpec("phone", "apprise", SecretStr("sms://secret"), least_level=3),
        ChannelSpec("chat", "apprise", SecretStr("slack://secret"), least_level=2),
    ]
    routing = default_routing(channels)
    house.services.routing = lambda: routing
    for labels in ({"severity": "critical"}, {"level": "2", "severity": "page"}, {"severity": "info"}, {"a": "b"}):
        said = amtool("config", "routes", "test", *(f"{name}={value}" for name, value in labels.items()))
        assert said == routing.root.find(labels)[0].receiver
    assert "secret" not in amtool("config", "show")


def test_amtool_without_a_right_to_it_is_refused(house: House, url: str, tmp_path: Path) -> None:
    viewer = Amtool(url, house.token("viewer"), tmp_path)
    assert viewer.json("alert", "query") == []
    assert viewer.run("silence", "add", "a=b", "--comment=x").returncode != 0
    assert viewer.run("alert", "add", "Down").returncode != 0
    assert house.services.alerts.current() == []


# --- Alertmanager itself -----------------------------------------------------------------------------------------

_CONFIG = """
route: {receiver: page, group_by: [alertname], group_wait: 0s}
receivers: [{name: page}]
"""


@contextmanager
def running(command: list[str], folder: Path, ready: Callable[[], bool], what: str) -> Iterator[None]:
    """A process for as long as it is needed."""
    with (folder / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        eventually(ready, what=what)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Debian's Alertmanager."""
    if shutil.which("prometheus-alertmanager") is None:
        pytest.skip("prometheus-alertmanager is not installed")
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "alertmanager.yml").write_text(_CONFIG)
    peer = Api(f"http://127.0.0.1:{free_port()}")
    command = [
        "prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=data",
        f"--web.listen-address={peer.url.removeprefix('http://')}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with running(command, folder, lambda: peer.is_ready(), "Alertmanager"):
        yield peer


@pytest.fixture
def both(alertmanager: Api, house: House, url: str) -> tuple[Api, Api]:
    """Alertmanager, and us, routing alike."""
    root = Route("top", "{}", "", "page", group_by=("alertname",))
    house.services.routing = lambda: Routing(root, {"page": Receiver("page")})
    return alertmanager, Api(url, house.token("operator"))


_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def shape(document: Any) -> Any:
    """A document without what differs from one moment to the next."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return sorted((shape(one) for one in document), key=json.dumps)
    if isinstance(document, str):
        return _ID.sub("ID", _MOMENT.sub("MOMENT", document))
    return document


ALERTS: list[tuple[object, bool]] = [
    # What is sent, and whether the words of a refusal are the same.
    ([{"labels": {"alertname": "A", "zone": "a", "empty": ""}, "annotations": {"summary": "s"}}], True),
    ([{"labels": {"alertname": "B"}, "generatorURL": "http://prometheus/graph?g0=1"}], True),
    ([{"labels": {"alertname": "C"}, "endsAt": "2020-01-01T00:00:00Z"}], True),
    ([{"labels": {"alertname": "D"}, "startsAt": "0001-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}], True),
    ([{"labels": {}}], True),
    ([{"annotations": {}}], True),
    ([{"labels": {"1a": "x"}}, {"labels": {"alertname": "E"}}], True),
    ([{"labels": {"a": "b"}, "annotations": {"x y": "z"}}], True),
    ([{"labels": {"a": "b"}, "generatorURL": "::bad"}], True),
    (
        [{"labels": {"a": "b"}, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}],
        True,
    ),
    ([{"labels": {"a": 1}}], False),
    ([{"labels": {"a": "b"}, "startsAt": "soon"}], False),
    ({"a": 1}, False),
    ([], True),
]


def test_the_same_alerts_get_the_same_answers(both: tuple[Api, Api]) -> None:
    for document, same_words in ALERTS:
        theirs, ours = (peer.send("/api/v2/alerts", document) for peer in both)
        assert ours.status == theirs.status, document
        if same_words:
            assert shape(ours.document) == shape(theirs.document), document
        else:
            assert ours.document.keys() == theirs.document.keys()
            assert ours.document["code"] == theirs.document["code"]
    eventually(lambda: len(both[0].fetch("/api/v2/alerts/groups").document) == 4, what="Alertmanager's groups")
    for path in (
        "/api/v2/alerts",
        "/api/v2/alerts?filter=alertname%3D~%22A%7CB%22",
        "/api/v2/alerts?filter=zone%3D&filter=alertname!%3DB",
        "/api/v2/alerts?active=false",
        "/api/v2/alerts?active=maybe",
        "/api/v2/alerts?receiver=p.*",
        "/api/v2/alerts?receiver=x",
        "/api/v2/alerts?filter=%7B",
        "/api/v2/alerts?filter=a%3D%22",
        "/api/v2/alerts/groups",
        "/api/v2/alerts/groups?filter=alertname%3DA",
        "/api/v2/receivers",
    ):
        theirs, ours = (peer.fetch(path) for peer in both)
        assert (ours.status, shape(ours.document)) == (theirs.status, shape(theirs.document)), path


def _silence(**change: Any) -> dict[str, Any]:
    matchers = [{"name": "service", "value": "db", "isRegex": False}]
    wanted = {"matchers": matchers, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    return wanted | {"createdBy": "me", "comment": "c"} | change


SILENCES: list[object] = [
    _silence(),
    _silence(startsAt="2098-01-01T00:00:00Z"),
    _silence(matchers=[{"name": "a", "value": "x|y", "isRegex": True, "isEqual": False}]),
    _silence(matchers=[{"name": "a", "value": "", "isRegex": False}]),
    _silence(matchers=[{"name": "1a", "value": "x", "isRegex": False}]),
    _silence(matchers=[{"name": "a", "value": "x"}]),
    _silence(matchers=[]),
    _silence(startsAt="2026-01-02T00:00:00Z", endsAt="2026-01-01T00:00:00Z"),
    _silence(startsAt="2020-01-02T00:00:00Z", endsAt="2021-01-01T00:00:00Z"),
    _silence(id="6a3d30b8-6f5f-4a2a-9b1c-000000000000"),
    _silence(id="nonsense"),
    {},
    None,
]


def test_the_same_silences_get_the_same_answers(both: tuple[Api, Api]) -> None:
    for document in SILENCES:
        theirs, ours = (peer.send("/api/v2/silences", document) for peer in both)
        assert (ours.status, shape(ours.document)) == (theirs.status, shape(theirs.document)), document
    for path in (
        "/api/v2/silences",
        "/api/v2/silences?filter=service%3Ddb",
        "/api/v2/silences?filter=a!~%22x%7Cy%22",
        "/api/v2/silences?filter=a%3D%22",
        "/api/v2/silence/nonsense",
        "/api/v2/silence/6a3d30b8-6f5f-4a2a-9b1c-000000000000",
    ):
        theirs, ours = (peer.fetch(path) for peer in both)
        assert (ours.status, shape(ours.document)) == (theirs.status, shape(theirs.document)), path


def test_a_silence_lives_the_same_life(both: tuple[Api, Api]) -> None:
    lives = []
    for peer in both:
        id = peer.send("/api/v2/silences", _silence(comment="life")).document["silenceID"]
        found = peer.fetch(f"/api/v2/silence/{id}").document
        same = peer.send("/api/v2/silences", found | {"comment": "longer"}).document["silenceID"] == id
        moved = peer.send("/api/v2/silences", found | {"startsAt": "2098-01-01T00:00:00Z"}).document["silenceID"]
        states = [peer.fetch(f"/api/v2/silence/{one}").document["status"]["state"] for one in (id, moved)]
        ends = [(one.status, one.document) for one in (peer.fetch(f"/api/v2/silence/{moved}", "DELETE"),) * 2]
        last = shape(peer.fetch(f"/api/v2/silence/{moved}").document)
        lives.append((shape(found), same, moved == id, states, ends, last))
    assert lives[0] == lives[1]


def test_the_status_has_the_same_fields(both: tuple[Api, Api]) -> None:
    theirs, ours = (peer.fetch("/api/v2/status").document for peer in both)

    def fields(document: Any) -> Any:
        return {name: fields(one) for name, one in document.items()} if isinstance(document, dict) else type(document)

    assert fields(ours) == fields(theirs)
    assert ours["versionInfo"]["version"] == theirs["versionInfo"]["version"]
    assert ours["cluster"] == theirs["cluster"]


MATCHERS = [
    *("a=b", 'a="b"', "a=~b.*", 'a!="b\\"c"', "a=\\", "a==b", "a", 'a="', "a=b=c", 'a="b"c', "a!~x|", "1a=b", "a=("),
    *("a:b=c", " a = b ", 'a="b', "=b", "a=~b{2}", "a=\n", 'a="\\x"', 'a="b\nc"'),
]


def test_a_matcher_is_read_the_same(both: tuple[Api, Api]) -> None:
    for text in MATCHERS:
        theirs, ours = (peer.fetch(f"/api/v2/silences?filter={quote(text)}") for peer in both)
        assert (ours.status, ours.document) == (theirs.status, theirs.document), text
    theirs, ours = (peer.fetch("/api/v2/silences?filter=a%3D~(") for peer in both)
    assert ours.status == theirs.status == 400


# --- Prometheus itself -------------------------------------------------------------------------------------------

_RULES = """
groups:
  - name: disks
    rules:
      - alert: DiskFull
        expr: disk_full == 1
        labels: {severity: warning, empty: ""}
        annotations: {summary: "The disk of {{ $labels.host }} is full"}
"""
_PROMETHEUS = """
global: {{scrape_interval: 250ms, evaluation_interval: 250ms, external_labels: {{region: eu}}}}
rule_files: [rules.yml]
scrape_configs: [{{job_name: disks, static_configs: [{{targets: ["{source}"]}}]}}]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["{target}"]}}]
      authorization: {{credentials: {token}}}
"""


@contextmanager
def metrics(value: list[int]) -> Iterator[str]:
    """An address at which Prometheus reads ``disk_full``, whatever ``value`` holds."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'disk_full{{host="h1"}} {value[0]}\n'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_another_prometheus_sends_its_alerts_here(house: House, url: str, tmp_path: Path) -> None:
    """Its alert appears, is acknowledged, and resolves when its condition does."""
    engine, value, folder = house.services.alerts, [1], tmp_path / "prometheus"
    folder.mkdir()
    (folder / "rules.yml").write_text(_RULES)
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=tsdb",
        f"--web.listen-address={address}",
        "--rules.alert.resend-delay=1s",
        "--log.level=error",
    ]
    with metrics(value) as source:
        token = house.token("operator")["Authorization"].removeprefix("Bearer ")
        text = _PROMETHEUS.format(source=source, target=url.removeprefix("http://"), token=token)
        (folder / "prometheus.yml").write_text(text)
        with running(command, folder, Api(f"http://{address}").is_ready, "Prometheus"):
            [found] = eventually(engine.current, what="the alert of the other Prometheus")
            assert (found.rule, found.source, found.state) == ("DiskFull", "api", "firing")
            assert dict(found.labels) == {
                "alertname": "DiskFull",
                "host": "h1",
                "instance": source,
                "job": "disks",
                "region": "eu",
                "severity": "warning",
            }
            assert found.summary == "The disk of h1 is full"
            assert found.generator_url is not None
            assert found.generator_url.startswith("http://")
            engine.acknowledge(found.id, "ada", "on it", found.seen_ms)
            eventually(lambda: engine.current()[0].seen_ms > found.seen_ms, what="the alert being sent again")
            assert engine.current()[0].state == "acknowledged"
            value[0] = 0
            eventually(lambda: not engine.current(), what="the end of the alert")
    ended = engine.alert(found.id)
    assert ended is not None
    assert (ended.state, ended.ended_by) == ("resolved", "told")
    assert ended.ack_by == "ada"

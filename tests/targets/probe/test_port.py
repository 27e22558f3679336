"""Ports, with TLS and without; and ping, which may not be allowed."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icmplib
import pytest

from config_target import HttpProbe, PingProbe, TcpProbe
from targets.probe import http, ping, tcp
from targets.probe.outcome import Outcome
from tests.targets.probe.certificate import certify
from tests.targets.probe.played import http as answer
from tests.targets.probe.played import played


def _tcp(port: int, **settings: Any) -> Outcome:
    return tcp.look(TcpProbe.model_validate({"host": "localhost", "port": port, "timeout": 1, **settings}))


def test_a_port_is_up_while_somebody_listens() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert _tcp(port).reason == "refuses the connection"
        server.listen()
        assert _tcp(port).success


def test_names_that_lead_nowhere_or_where_nobody_may_go_fail() -> None:
    assert "cannot be resolved" in _tcp(80, host="no-such-host.invalid", timeout=5).reason
    assert "which no target may" in _tcp(80, host="169.254.169.254").reason


def test_the_certificate_of_a_port_is_told_whether_or_not_it_is_valid(tmp_path: Path) -> None:
    ends = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    _, context = certify(tmp_path, ends)
    with played(answer("200 OK"), context=context) as server:
        strict, lenient = _tcp(server.port, tls=True), _tcp(server.port, tls=True, verify=False)
        asked = http.look(HttpProbe(url=f"https://localhost:{server.port}/"))
    assert lenient.success
    assert not strict.success
    assert strict.reason.startswith("the certificate is not valid: self-signed certificate")
    assert asked.reason == strict.reason
    moment = round(ends.timestamp() * 1000)
    assert (strict.certificate_ends_ms, lenient.certificate_ends_ms, asked.certificate_ends_ms) == (moment,) * 3


def test_a_port_that_takes_no_handshake_fails_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        outcome = _tcp(silent.getsockname()[1], tls=True, timeout=0.2)
    assert outcome.reason == "no connection within 0.2 s"


def _may_ping() -> bool:
    for privileged in (False, True):
        try:
            icmplib.ping("127.0.0.1", count=1, timeout=1, privileged=privileged)
        except icmplib.SocketPermissionError:
            continue
        return True
    return False


def test_this_machine_answers_a_ping_or_says_that_none_may_be_sent() -> None:
    outcome = ping.look(PingProbe(host="localhost", timeout=2))
    if _may_ping():
        assert outcome.success
        assert 0 < outcome.duration_seconds < 2
    else:
        assert (outcome.success, outcome.reason) == (None, ping.NOT_ALLOWED)


def test_where_ping_is_not_allowed_nothing_is_said_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise icmplib.SocketPermissionError(privileged=True)

    monkeypatch.setattr(icmplib, "ping", refuse)
    outcome = ping.look(PingProbe(host="127.0.0.1"))
    assert (outcome.success, outcome.reason) == (None, ping.NOT_ALLOWED)


def test_a_host_that_does_not_answer_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icmplib, "ping", lambda address, **_: icmplib.Host(address, 1, []))
    outcome = ping.look(PingProbe(host="127.0.0.1", timeout=0.2))
    assert (outcome.success, outcome.reason) == (False, "no reply within 0.2 s")
    assert "no target may" in ping.look(PingProbe(host="169.254.169.254")).reason

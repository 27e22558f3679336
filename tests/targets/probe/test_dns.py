"""Lookups at a name server that a test plays over UDP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from config_target import DnsProbe
from targets.probe.dns import look
from targets.probe.outcome import Outcome

RECORDS = {
    ("model.example.", "A"): ["10.0.0.7", "10.0.0.8"],
    ("model.example.", "MX"): ["10 mail.Example.com."],
    ("model.example.", "TXT"): ['"v=spf1 " "-all"'],
    ("model.example.", "AAAA"): [],
}


def _answer(query: dns.message.Message) -> dns.message.Message | None:
    """As a server that knows :data:`RECORDS` answers."""
    (question,) = query.question
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
    if name == "silent.example.":
        return None
    if name == "broken.example.":
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif not any(known == name for known, _ in RECORDS):
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif texts := RECORDS.get((name, kind)):
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
    return answer


@contextmanager
def _server(answer: Callable[[dns.message.Message], dns.message.Message | bytes | None]) -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                query, peer = server.recvfrom(4096)
                if not query:
                    return
                said = answer(dns.message.from_wire(query))
                if said is not None:
                    server.sendto(said if isinstance(said, bytes) else said.to_wire(), peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
                stop.sendto(b"", server.getsockname())
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _server(_answer) as address:
        yield address


def _look(server: str | None, name: str = "model.example", **settings: Any) -> Outcome:
    return look(DnsProbe.model_validate({"name": name, "server": server, "timeout": 1, **settings}))


def test_a_name_that_is_known_is_well_and_its_records_are_shown(server: str) -> None:
    outcome = _look(server)
    assert outcome.success
    assert outcome.detail["records"] == ["10.0.0.7", "10.0.0.8"]


@pytest.mark.parametrize(
    ("kind", "expect"),
    [("A", ["10.0.0.8"]), ("A", ["1.1.1.1", "10.0.0.7"]), ("MX", ["mail.example.com"]), ("TXT", ["v=spf1 -all"])],
)
def test_one_of_the_expected_values_must_be_in_the_answer(server: str, kind: str, expect: list[str]) -> None:
    assert _look(server, type=kind, expect=expect).success
    outcome = _look(server, type=kind, expect=["other.example"])
    assert outcome.reason == f"none of the expected {kind} records is in the answer"


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("missing.example", "A", "the name does not exist (NXDOMAIN)"),
        ("model.example", "AAAA", "the name has no AAAA record"),
        ("silent.example", "A", "no answer within 0.5 s"),
        ("broken.example", "A", "the name server does not answer the question (such as SERVFAIL or REFUSED)"),
    ],
)
def test_why_there_is_no_answer_is_told(server: str, name: str, kind: str, reason: str) -> None:
    outcome = _look(server, name, type=kind, timeout=0.5)
    assert (outcome.success, outcome.reason) == (False, reason)


def test_a_server_that_sends_rubbish_is_given_up_in_time() -> None:
    with _server(lambda _: b"\x00" * 40) as rubbish:
        outcome = _look(rubbish, timeout=0.5)
    assert outcome.success is not True


@pytest.mark.parametrize("server_", ["169.254.169.254", "no address", "127.0.0.1:port", "[::1]:99999"])
def test_a_server_that_is_none_or_that_may_not_be_asked_tells_nothing_of_the_name(server_: str) -> None:
    assert _look(server_).success is None

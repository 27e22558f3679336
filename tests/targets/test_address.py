"""What a name resolves to is looked at before anybody connects."""

from __future__ import annotations

import socket
import threading

import pytest

from targets.address import Address, AddressError, AddressRefused, forbidden, resolve

METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::a9fe:a9fe",
)
OTHERS = ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "0.1.2.3")
ALLOWED = ("127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "100.64.0.1", "8.8.8.8", "2606:4700::1111")


@pytest.mark.parametrize("ip", [*METADATA, *OTHERS])
def test_an_address_that_no_target_may_have_is_refused(ip: str) -> None:
    assert forbidden(ip) is not None
    with pytest.raises(AddressRefused, match="which no target may") as raised:
        resolve(ip, 80, 1.0)
    assert raised.value.kind == "forbidden_address"


@pytest.mark.parametrize("ip", ALLOWED)
def test_others_may_be_asked_those_of_the_own_network_too(ip: str) -> None:
    assert [address.ip for address in resolve(ip, 80, 1.0)] == [ip]


@pytest.mark.parametrize("text", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
def test_other_ways_of_writing_such_an_address_do_not_help(text: str) -> None:
    with pytest.raises(AddressRefused):
        resolve(text, 80, 1.0)


def _answer(monkeypatch: pytest.MonkeyPatch, *ips: str) -> None:
    def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(None, None, 0, "", (ip, 0)) for ip in ips]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_that_resolves_to_a_metadata_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, "169.254.169.254")
    with pytest.raises(AddressRefused, match="link-local"):
        resolve("model.example", 80, 1.0)


def test_of_several_only_those_are_asked_that_may(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, "fe80::1", "10.0.0.7", "10.0.0.7", "fd12::1")
    assert resolve("model.example", 80, 1.0) == [
        Address("10.0.0.7", 80, socket.AF_INET),
        Address("fd12::1", 80, socket.AF_INET6),
    ]


def test_a_name_that_is_none_says_so() -> None:
    with pytest.raises(AddressError, match="cannot be resolved") as raised:
        resolve("no-such-host.invalid", 80, 5.0)
    assert raised.value.kind == "dns"
    with pytest.raises(AddressError):
        resolve("a" * 64 + ".example", 80, 5.0)


def test_a_resolver_that_hangs_holds_nobody_and_costs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    asked: list[object] = []

    def getaddrinfo(host: object, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        free.wait(30)
        return [(None, None, 0, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for _ in range(3):
        with pytest.raises(AddressError, match="could not be resolved within") as raised:
            resolve("slow.example", 80, 0.02)
        assert raised.value.kind == "timeout"
    assert asked == ["slow.example"]
    free.set()
    assert [address.ip for address in resolve("slow.example", 80, 10.0)] == ["10.0.0.1"]

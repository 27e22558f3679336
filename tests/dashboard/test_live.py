"""The websocket, over a real socket."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simple_websocket import Client, ConnectionClosed, ConnectionError  # noqa: A004
from werkzeug.serving import make_server
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from dashboard.live import MAX_MESSAGE_BYTES, _serve, frame, parse_watch
from storage.error import StorageError
from tests.dashboard.house import PASSWORD, House, MakeHouse

PAGES = {"overview", "alerts", "model"}


@contextmanager
def serving(house: House) -> Iterator[str]:
    """A house with an open door; gives its address."""
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    house.services.hub.close("the test is over")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def address(house: House) -> Iterator[str]:
    with serving(house) as address:
        yield address


def _connect(house: House, address: str, **headers: str) -> Any:
    return Client.connect(f"ws://{address}/live?page=overview&step=1000", headers=house.token("viewer") | headers)


def _said(connection: Any) -> dict[str, Any]:
    text = connection.receive(timeout=10)
    assert text is not None, "no frame came"
    found: dict[str, Any] = orjson.loads(text)
    return found


def _end(connection: Any) -> ConnectionClosed:
    """Read until the server closes."""
    while True:
        try:
            assert connection.receive(timeout=10) is not None, "the connection stayed open"
        except ConnectionClosed as closed:
            return closed


def test_a_viewer_gets_the_state_and_then_every_tick(house: House, address: str) -> None:
    connection = _connect(house, address)
    assert _said(connection)["type"] == "state"
    house.services.hub.publish(1_800_000_000_000)
    tick = _said(connection)
    assert (tick["type"], tick["time_ms"]) == ("tick", 1_800_000_000_000)
    connection.close()


def test_without_a_role_nobody_is_let_in(house: House, address: str) -> None:
    with pytest.raises(ConnectionError) as caught:
        Client.connect(f"ws://{address}/live")
    assert caught.value.status_code == 401


def test_a_page_of_another_site_is_not_let_in(house: House, address: str) -> None:
    with pytest.raises(ConnectionError) as caught:
        _connect(house, address, Origin="https://example.org")
    assert caught.value.status_code == 403


def test_a_page_of_our_own_is_let_in(house: House, address: str) -> None:
    host = address.partition(":")[0]  # this client sends its Host header without the port
    connection = _connect(house, address, Origin=f"http://{host}")
    assert _said(connection)["type"] == "state"
    connection.close()


def test_a_stop_closes_with_a_code_and_a_reason(house: House, address: str) -> None:
    connection = _connect(house, address)
    _said(connection)
    house.services.hub.close("the server is restarting")
    ended = _end(connection)
    assert (ended.reason, ended.message) == (1012, "the server is restarting")


@pytest.mark.parametrize("message", ["nonsense", '{"page": "elsewhere", "step": 1000}', "x" * (MAX_MESSAGE_BYTES + 1)])
def test_who_sends_anything_else_is_cut_off(house: House, address: str, message: str) -> None:
    connection = _connect(house, address)
    _said(connection)
    connection.send(message)
    house.services.hub.publish(1_800_000_000_000)
    assert _end(connection).reason in (1008, 1009)


def _session(house: House) -> dict[str, str]:
    """The cookie of a browser in which a person has logged in."""
    client = house.person("viewer")
    cookie = client.get_cookie(house.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    return {"Cookie": f"{cookie.key}={cookie.value}", "User-Agent": "Werkzeug/" + version("werkzeug")}


@pytest.mark.parametrize("change", ["password", "disabled", "token"])
def test_who_may_watch_no_longer_is_cut_off(
    house: House, address: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("dashboard.live.IDENTITY_SECONDS", 0.0)
    accounts = house.services.accounts
    accounts.create_user("boss", PASSWORD, "admin")  # the last admin could not be disabled
    headers = house.token("viewer") if change == "token" else _session(house)
    connection = Client.connect(f"ws://{address}/live", headers=headers)
    assert _said(connection)["type"] == "state"
    house.services.hub.publish(1_800_000_000_000)
    assert _said(connection)["type"] == "tick", "who may still watch goes on watching"
    if change == "password":
        accounts.set_password("person-viewer", "another battery staple")
    elif change == "disabled":
        accounts.set_disabled("person-viewer", disabled=True)
    else:
        accounts.revoke_token("program-viewer")
    house.services.hub.publish(1_800_000_001_000)
    ended = _end(connection)
    assert (ended.reason, ended.message) == (1008, "this login has ended")


def test_a_database_that_does_not_answer_cuts_nobody_off(
    house: House, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise StorageError("the database is locked by another program", permanent=False)

    connection = _connect(house, address)
    _said(connection)
    monkeypatch.setattr("dashboard.live.IDENTITY_SECONDS", 0.0)
    monkeypatch.setattr(house.services.accounts, "token", busy)
    for moment in (1_800_000_000_000, 1_800_000_001_000):
        house.services.hub.publish(moment)
        assert _said(connection)["time_ms"] == moment
    connection.close()


def test_one_page_too_many_is_told_to_try_again_later(make_house: MakeHouse) -> None:
    house = make_house(server={"threads": 8})
    viewers = [house.services.hub.join("overview", 1000) for _ in range(4)]
    with serving(house) as address:
        # The client misses a farewell that comes in one segment with the handshake, so it may take a second look.
        ends = [_end(_connect(house, address)) for _ in range(8)]
        told = [ended for ended in ends if ended.reason == 1013]
        assert told
        assert "4 pages" in str(told[0].message)
        house.services.hub.leave(viewers[0])
        connection = _connect(house, address)
        assert _said(connection)["type"] == "state"
        connection.close()


def test_a_viewer_who_leaves_is_forgotten(house: House, address: str) -> None:
    connection = _connect(house, address)
    _said(connection)
    assert house.services.hub.viewers == 1
    connection.close()
    connection.thread.join(10)
    for _ in range(20):  # each publish wakes the handler, which then finds the line closed
        house.services.hub.publish(1_800_000_000_000)
        if house.services.hub.viewers == 0:
            break
        threading.Event().wait(0.05)
    assert house.services.hub.viewers == 0


def test_a_page_that_is_gone_before_its_first_frame_is_forgotten_without_a_word(house: House) -> None:
    gone = socket.socket()
    gone.close()  # what the reading thread does when it meets the end of the line
    with house.app.test_request_context("/live?page=overview"):
        _serve(SimpleNamespace(sock=gone, connected=False, thread=threading.Thread()))
    assert house.services.hub.viewers == 0


KEY = base64.b64encode(bytes(16)).decode()
SHAKE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}


@pytest.mark.parametrize(
    "change",
    [
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Version": "7"},
        {"Sec-WebSocket-Protocol": "\xe9"},
    ],
)
def test_a_malformed_handshake_is_refused(house: House, address: str, change: dict[str, str | None]) -> None:
    host, _, port = address.partition(":")
    headers = {"Host": address, **house.token("viewer"), **SHAKE, **change}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(f"GET /live HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        assert client.recv(12) == b"HTTP/1.1 400"
    assert house.services.hub.viewers == 0


@given(st.binary(max_size=70_000).map(lambda raw: raw.hex().encode()))
def test_frames_are_read_back_by_a_websocket_client(text: bytes) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frame(text))
    assert "".join(event.data for event in client.events() if isinstance(event, TextMessage)).encode() == text


@given(
    st.one_of(
        st.text(), st.binary(), st.recursive(st.none() | st.integers(-99, 99) | st.text(), st.lists).map(orjson.dumps)
    )
)
def test_no_message_breaks_the_reading_of_messages(text: str | bytes) -> None:
    assert parse_watch(text, PAGES) is None


def test_a_subscription_is_read() -> None:
    assert parse_watch('{"page": "model", "step": 5000}', PAGES) == ("model", 5000)

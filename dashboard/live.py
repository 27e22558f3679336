"""The live page's websocket. ``/live?page=overview&step=1000`` sends a frame per tick and one per change of state.

Frames are JSON: ``{"type": "tick", time_ms, state, panels}`` and ``{"type": "state", time_ms, state}``. The page may
send ``{"page": …, "step": ms}`` to watch something else. Only the handler's thread writes to the socket, since
simple-websocket shares it without a lock; the frames are the heartbeat, so its pings stay off.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed
from simple_websocket import ConnectionError as HandshakeFailed
from structlog import get_logger
from wsproto.utilities import LocalProtocolError, ProtocolError

from dashboard.access import require, same_origin
from dashboard.hub import Hub, Viewer
from dashboard.identity import identify_again
from dashboard.problem import Problem, render
from dashboard.services import services
from storage.error import StorageError

logger = get_logger(__name__)
blueprint = Blueprint("live", __name__)

#: A viewer that takes no bytes for so long is gone; its thread must not wait for it any longer.
SEND_SECONDS = 10
#: The longest message a page may send, and how many of them may wait: subscriptions are short and rare.
MAX_MESSAGE_BYTES = 1024
MAX_WAITING = 16
MAX_STEP_MS = 86_400_000
#: The pages that listen; all hear of the state, those with panels of their values as well.
PAGES = {
    "overview", "alerts", "rules", "incidents", "incident", "model", "explore", "storage", "targets", "target",
    "requests", "logs", "checkup", "reports",
}  # fmt: skip
#: Seconds between two looks at whether a viewer may still watch.
IDENTITY_SECONDS = 30.0
#: RFC 6455, 7.4.1: a message, or its sender, is not welcome.
POLICY_VIOLATION = 1008


class _DaemonThread(threading.Thread):
    """simple-websocket's reading thread; it must never keep the process from ending."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)


def init_app(app: Flask) -> None:
    """Bound what a page may send, and register the route."""
    app.config.setdefault(
        "SOCK_SERVER_OPTIONS",
        {"max_message_size": MAX_MESSAGE_BYTES, "receive_bytes": 4096, "thread_class": _DaemonThread},
    )
    app.register_blueprint(blueprint)


@blueprint.before_request
def check_origin() -> None:
    """Refuse pages of other sites before the connection is upgraded: cookies go along whoever opens a websocket."""
    if not same_origin():
        raise Problem(403, "cross-site", "This page comes from another site than the server.")
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:  # a page that watches says nothing for hours: the limit on silence is not for it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
    # Frames are made once for all viewers; compressing them again for each would cost more than it saves.
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)


@blueprint.errorhandler(ProtocolError)
@blueprint.errorhandler(HandshakeFailed)
@blueprint.errorhandler(UnicodeError)
def malformed(_: Exception) -> Response:
    """An upgrade without its key or version, or with headers that are none; nothing has been said yet."""
    return render(Problem(400, "bad-request", "The websocket handshake is malformed.", headers={"Connection": "close"}))


@blueprint.errorhandler(ConnectionError)
def gone(_: ConnectionError) -> Response:
    """A page that went away during the handshake: this is for the log, nobody reads it."""
    return render(Problem(499, "canceled", "The page went away.", headers={"Connection": "close"}))


def frame(text: bytes) -> bytes:
    """The text as one websocket frame (RFC 6455, 5.2; a server does not mask)."""
    if len(text) < 126:
        return struct.pack("!BB", 0x81, len(text)) + text
    if len(text) < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, len(text)) + text
    return struct.pack("!BBQ", 0x81, 127, len(text)) + text


def parse_watch(text: str | bytes, pages: set[str]) -> tuple[str, int] | None:
    """The page and the step in ms that a message asks for; None where it is not such a message."""
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(asked, dict):
        return None
    page, step = asked.get("page"), asked.get("step")
    if page not in pages or isinstance(step, bool) or not isinstance(step, int) or not 0 < step <= MAX_STEP_MS:
        return None
    return page, step


def _serve(connection: Any) -> None:
    """One viewer, from hello to good-bye; runs in the request's thread."""
    hub, pages = services().hub, PAGES
    page = request.args.get("page", "overview")
    step = request.args.get("step", default=1000, type=int)
    viewer = hub.join(page if page in pages else "overview", min(max(step, 1), MAX_STEP_MS))
    try:
        _bound_sends(connection.sock)  # closed already where the page went away at once
        _stream(hub, viewer, connection, pages)
    except (OSError, ConnectionClosed, LocalProtocolError):
        pass  # The page went away, which is how most connections end.
    finally:
        hub.leave(viewer)
        _hang_up(connection)


def _stream(hub: Hub, viewer: Viewer, connection: Any, pages: set[str]) -> None:
    asked = time.monotonic()
    while connection.connected:
        frames = viewer.take(timeout_seconds=5)
        if viewer.closing:
            connection.close(viewer.closing.code, viewer.closing.reason)
            return
        if time.monotonic() - asked >= IDENTITY_SECONDS:
            if not _may_still_watch():
                connection.close(POLICY_VIOLATION, "this login has ended")
                return
            asked = time.monotonic()
        for text in frames:
            connection.sock.sendall(frame(text))
        for count, text in enumerate(iter(lambda: connection.receive(timeout=0), None)):
            watch = parse_watch(text, pages)
            if watch is None or count > MAX_WAITING:
                connection.close(POLICY_VIOLATION, "send {page, step} and nothing else")
                return
            hub.watch(viewer, *watch)


def _may_still_watch() -> bool:
    """Whether the login that this connection began with still holds."""
    try:
        return identify_again().may("viewer")
    except Problem:  # the token has been revoked
        return False
    except StorageError as error:  # not known now; the next look will tell
        logger.warning("viewer_not_identified", error=str(error))
        return True


def _bound_sends(sock: socket.socket) -> None:
    """Give up on a peer that takes nothing, and on one whose host is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * SEND_SECONDS * 1000)


def _hang_up(connection: Any) -> None:
    """Say that nothing more comes, let the peer answer for a moment, then end the reading thread as well."""
    try:
        connection.sock.shutdown(socket.SHUT_WR)
        connection.thread.join(timeout=1)
        connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # Already closed from the other side.


Sock().route("/live", bp=blueprint)(require("viewer")(_serve))

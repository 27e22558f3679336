"""Who is asking: a person with a session, a program with a token, or nobody in particular."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flask import Flask, g, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from dashboard.problem import Problem
from dashboard.services import services
from storage.error import StorageError

if TYPE_CHECKING:
    from storage.account import UserIdentity

Role = Literal["viewer", "operator", "admin"]
#: Each role may do all that the ones below it may.
RANK: dict[str, int] = {"viewer": 1, "operator": 2, "admin": 3}

_SINCE = "since"
_AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request. ``role`` is None when nothing at all is allowed."""

    name: str
    role: Role | None
    kind: Literal["session", "token", "anonymous"]

    @property
    def actor(self) -> str:
        """How logs and the audit call this identity."""
        return f"token:{self.name}" if self.kind == "token" else self.name

    def may(self, role: Role) -> bool:
        """Whether this identity has ``role`` or a higher one."""
        return self.role is not None and RANK[self.role] >= RANK[role]


class SessionUser(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A person as Flask-Login keeps them: the id in the cookie carries the epoch, so that raising it ends sessions."""

    def __init__(self, user: UserIdentity) -> None:
        self.user = user

    def get_id(self) -> str:
        return f"{self.user.id}.{self.user.epoch}"


def current() -> Identity:
    """The identity behind the request at hand. A request with a bearer token never uses the cookie."""
    found: Identity | None = g.get("identity")
    if found is None:
        found = g.identity = _identify()
    return found


def identify_again() -> Identity:
    """As :func:`current`, but read anew: a websocket outlives a changed password and a revoked token.

    Raises :class:`Problem` for a token that is no longer known.
    """
    for known in ("identity", "_login_user"):  # ours, and what Flask-Login keeps for the request
        g.pop(known, None)
    return current()


def log_in(user: UserIdentity) -> None:
    """Begin a session for ``user``, with a fresh cookie: nothing of an earlier one is kept."""
    session.clear()
    session.permanent = True
    session[_SINCE] = int(time.time())
    session[_AGENT] = _agent()
    login_user(SessionUser(user))
    g.identity = Identity(user.name, _role(user.role), "session")


def log_out() -> None:
    """End the session."""
    logout_user()
    session.clear()
    g.identity = _anonymous()


def install(app: Flask) -> None:
    """Let Flask-Login read sessions."""
    manager = LoginManager()
    # Its own protection looks at the address as well, and would log out a phone that changes networks at 3 a.m.
    manager.session_protection = None
    manager.user_loader(_load_user)
    manager.init_app(app)
    app.context_processor(lambda: {"identity": _for_page()})


def _for_page() -> Identity:
    """Who a page is rendered for. A page about an error must not fail for want of an identity."""
    try:
        return current()
    except (Problem, StorageError):
        return Identity("anonymous", None, "anonymous")


def _identify() -> Identity:
    token = _bearer_token()
    if token is not None:
        known = services().accounts.token(token)
        if known is None:
            g.identity = Identity("anonymous", None, "anonymous")  # the page that says so asks again
            raise Problem(
                401,
                "unauthorized",
                "This token is not known; it may have been revoked.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return Identity(known.name, _role(known.role), "token")
    if current_user.is_authenticated:
        user = current_user.user
        return Identity(user.name, _role(user.role), "session")
    return _anonymous()


def _anonymous() -> Identity:
    allowed = services().settings.auth.anonymous
    return Identity("anonymous", "viewer" if allowed == "viewer" else None, "anonymous")


def _bearer_token() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _load_user(session_id: str) -> SessionUser | None:
    """The person behind a cookie, unless the session has ended: by age, a raised epoch, or another browser."""
    id_text, _, epoch = session_id.partition(".")
    lifetime = services().settings.auth.session_hours * 3600
    since: Any = session.get(_SINCE, 0)
    if not id_text.isdecimal() or time.time() - since > lifetime or session.get(_AGENT) != _agent():
        return None
    user = services().accounts.user(int(id_text))
    if user is None or str(user.epoch) != epoch:
        return None
    return SessionUser(user)


def _agent() -> str:
    """A mark of the browser: a cookie carried to another one is not worth anything."""
    return hashlib.sha256(request.headers.get("User-Agent", "").encode()).hexdigest()[:16]


def _role(name: str) -> Role | None:
    return name if name in RANK else None  # type: ignore[return-value]  # narrowed by the table

"""Login by password or one-time link, and logout. Every attempt is throttled; what happened goes into the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from dashboard import identity
from dashboard.access import public, require, safe_next
from dashboard.moment import now_ms
from dashboard.problem import Problem, retry_after
from dashboard.services import services
from dashboard.throttle import LoginThrottle
from dashboard.traffic import name_actor

if TYPE_CHECKING:
    from storage.account import UserIdentity

blueprint = Blueprint("login", __name__)

THROTTLE = "wakeless.throttle"
#: Shown when a link does not work.
NEW_LINK = "Get a new one on the server with:"


@blueprint.get("/login")
@public
def form() -> BaseResponse:
    """The login form, unless one is logged in already."""
    target = safe_next(request.args.get("next"))
    if identity.current().kind == "session":
        return redirect(target)
    return _form(target)


@blueprint.post("/login")
@public
def log_in() -> BaseResponse:
    """Check name and password."""
    name, password = request.form.get("name", ""), request.form.get("password", "")
    target = safe_next(request.form.get("next"))
    throttle = _throttle()
    _admit(throttle.attempt(request.remote_addr, name))
    user = services().accounts.authenticate(name, password)
    if user is None:
        _audit(_known(name), "login.failed", {"peer": request.remote_addr})
        return _form(target, name=name.strip()[:80], error="The name or the password is wrong.", status=401)
    throttle.succeeded(name)
    return _enter(user, "login", target)


@blueprint.get("/login/link/<token>")
@public
def link_form(token: str) -> BaseResponse:
    """A button that uses the link. Looking at it (a preview, a prefetch) uses nothing up and tells nothing."""
    return _page(link=token)


@blueprint.post("/login/link/<token>")
@public
def use_link(token: str) -> BaseResponse:
    """Log in with a one-time link."""
    _admit(_throttle().attempt_link(request.remote_addr))
    user = services().accounts.use_link(token, now_ms())
    if user is None:
        _audit("anonymous", "login.link_failed", {"peer": request.remote_addr})
        return _page(status=410, error="This link has been used or has expired.", suggestion=NEW_LINK)
    return _enter(user, "login.link", "/")


@blueprint.post("/logout")
@require("viewer")
def log_out() -> BaseResponse:
    """End the session."""
    found = identity.current()
    if found.kind == "session":
        _audit(found.actor, "logout", {"peer": request.remote_addr})
        identity.log_out()
    return redirect("/login")


def _enter(user: UserIdentity, action: str, target: str) -> BaseResponse:
    identity.log_in(user)
    name_actor(user.name)
    _audit(user.name, action, {"peer": request.remote_addr})
    return redirect(target, code=303)


def _admit(wait_seconds: float | None) -> None:
    if wait_seconds is not None:
        raise Problem(
            429,
            "too-many-attempts",
            f"Too many logins were tried. Try again in {round(wait_seconds)} s.",
            headers=retry_after(wait_seconds),
            suggestion="A one-time link still works: python app.py user link admin",
        )


def _form(target: str, *, name: str = "", error: str | None = None, status: int = 200) -> Response:
    return _page(next=target, name=name, error=error, status=status)


def _page(
    *,
    link: str | None = None,
    next: str = "/",
    name: str = "",
    error: str | None = None,
    suggestion: str | None = None,
    status: int = 200,
) -> Response:
    text = render_template("login.html", link=link, next=next, name=name, error=error, suggestion=suggestion)
    return make_response(text, status)


def _audit(actor: str, action: str, detail: dict[str, object]) -> None:
    """Record it, or log it where it cannot be recorded: a full disk must not keep out who could make room."""
    services().audit.note(now_ms(), actor, action, "session", detail)


def _known(name: str) -> str:
    """A typed name as the audit may keep it: unless it is somebody's, it may be a password in the wrong field."""
    return name if services().accounts.user_named(name) is not None else "unknown"


def _throttle() -> LoginThrottle:
    return cast(LoginThrottle, current_app.extensions[THROTTLE])

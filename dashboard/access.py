"""Who may call what. Every view carries a rule; a view without one is refused, so that none is open by oversight.

The check runs before the view and before its body is read: host name, then identity and role, then cross-site rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import structlog
from flask import Flask, redirect, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wrappers import Response as BaseResponse

from config import Settings, is_loopback
from dashboard import traffic
from dashboard.identity import Identity, Role, current
from dashboard.problem import Problem, for_program
from dashboard.services import services

log = structlog.get_logger(__name__)

#: What guards a view: a role, or one of
#: ``public`` (anyone), ``link`` (anyone: the address carries a secret, and the view looks at it),
#: ``asset`` (anyone, and not worth a log line),
#: ``predict`` and ``metrics`` (open on loopback without a proxy, or as the settings say; otherwise any login).
Rule = Role | Literal["public", "link", "asset", "predict", "metrics"]

_ATTRIBUTE = "access_rule"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: A request with one of these has passed a proxy: its peer is not its origin.
_FORWARDING = ("Forwarded", "Via", "X-Real-IP")
_FORWARDING_PREFIX = "x-forwarded-"
#: A path of this site: one slash, then no second one and nothing that a browser would read as one or skip.
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")

View = TypeVar("View", bound=Callable[..., Any])

__all__ = ["Identity", "Role", "Rule", "asset", "current", "public", "require", "same_origin"]


def require(rule: Rule) -> Callable[[View], View]:
    """Guard a view: ``@require("operator")``. Goes under the route decorator."""

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, rule)
        return view

    return mark


def public(view: View) -> View:
    """Let anyone call this view."""
    return require("public")(view)


def asset(view: View) -> View:
    """Let anyone load this file; it is logged at debug level and counted with the static files."""
    return require("asset")(view)


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """The rule of an endpoint; None if nobody gave it one."""
    if endpoint == "static" or endpoint.endswith(".static"):
        return "asset"  # files that a page loads, ours and those of packages
    return getattr(app.view_functions.get(endpoint), _ATTRIBUTE, None)


def install(app: Flask) -> None:
    """Put the checks in front of every view of ``app``."""
    csrf = CSRFProtect()
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # asked below, once it is known who is asking
    app.config["WTF_CSRF_HEADERS"] = ["X-CSRF-Token"]
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # as long as the session: a page may stay open all week
    app.config["WTF_CSRF_SSL_STRICT"] = False  # the Origin is checked below, over HTTP as well
    csrf.init_app(app)

    def check() -> BaseResponse | None:
        return _check(app, csrf)

    app.before_request(check)


def _check(app: Flask, csrf: CSRFProtect) -> BaseResponse | None:
    _note_route(app)
    _check_host()
    if request.endpoint is None:
        return None  # on its way to a 404 or 405
    rule = rule_of(app, request.endpoint)
    if rule is None:
        log.error("endpoint_without_rule", endpoint=request.endpoint)
        raise Problem(403, "forbidden", "Nobody may call this.")
    if rule in ("asset", "link"):
        return None  # a link needs no form's token: who does not have it cannot make a browser send it
    if rule == "public":
        if request.method not in _SAFE_METHODS:
            _check_form(csrf)
        return None
    if rule in ("predict", "metrics"):
        return _check_program_door(rule)
    return _check_role(rule, csrf)


def _note_route(app: Flask) -> None:
    exchange = traffic.exchange()
    if exchange is None or request.url_rule is None or request.endpoint is None:
        return
    is_asset = rule_of(app, request.endpoint) == "asset"
    exchange.route = traffic.STATIC if is_asset else request.url_rule.rule
    exchange.quiet = is_asset or exchange.route in ("/health/live", "/live")


def _check_host() -> None:
    """On loopback only loopback names are answered: a name that a stranger's DNS points here is not one of them."""
    settings = services().settings
    if not can_be_a_host(request.host):
        raise Problem(400, "bad-request", "The header Host names nothing that could be a host.")
    if answers_to(settings, request.host) or (settings.server.trusted_proxies and came_through_proxy()):
        return
    raise Problem(
        421,
        "misdirected-request",
        "This server listens on this machine only and does not answer to this host name.",
        suggestion=f"Open http://{settings.server.host}:{settings.server.port}/ instead. "
        "Behind a proxy, set server.trusted_proxies.",
    )


def answers_to(settings: Settings, host: str) -> bool:
    """Whether a request that names ``host`` may be meant for this server; see :func:`_check_host`."""
    return can_be_a_host(host) and (not is_loopback(settings.server.host) or is_loopback(host_name(host)))


@lru_cache(maxsize=256)
def can_be_a_host(host: str) -> bool:
    """Whether a header ``Host`` names what could be one: werkzeug takes another for none, and makes no address of it.

    Names have at most 253 characters, and 63 between two dots (RFC 1035 section 2.3.4), which the codec looks at.
    """
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return len(host_name(host)) <= 253 and host_is_trusted(host)


def _check_role(role: Rule, csrf: CSRFProtect) -> BaseResponse | None:
    identity = _identified()
    assert role in ("viewer", "operator", "admin")
    if not identity.may(role):
        return _refuse(identity, role)
    if request.method not in _SAFE_METHODS and identity.kind == "session":
        _check_form(csrf)
    return None


def _check_program_door(rule: Literal["predict", "metrics"]) -> BaseResponse | None:
    """``/predict`` and ``/metrics``: open on loopback or by the settings, otherwise for a login."""
    identity = _identified()
    if rule == "predict" and identity.kind != "token" and not same_origin():
        raise Problem(403, "cross-site", "Another web site may not use this model through your browser.")
    if is_open(services().settings, rule, None if came_through_proxy() else request.remote_addr):
        return None
    known = identity.kind != "anonymous" or (rule == "metrics" and identity.may("viewer"))
    return None if known and identity.may("viewer") else _refuse(identity, "viewer")


def is_open(settings: Settings, rule: Literal["predict", "metrics"], peer: str | None) -> bool:
    """Whether nobody needs a login there: the settings say so, or caller and server sit at this machine.

    ``peer`` is the caller's address; ``None`` where a proxy stands before it.
    """
    wanted = settings.auth.open_predict if rule == "predict" else settings.auth.open_metrics
    if wanted is not None:
        return wanted
    return peer is not None and is_loopback(settings.server.host) and is_loopback(peer)


def came_through_proxy() -> bool:
    """Whether a proxy left its mark on the request."""
    if any(name in request.headers for name in _FORWARDING):
        return True
    return any(name.lower().startswith(_FORWARDING_PREFIX) for name in request.headers.keys())  # noqa: SIM118


def same_origin() -> bool:
    """Whether the request comes from our own page, or from no page at all (a program sends neither header)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2].lower() == request.host.lower()


def host_name(host: str) -> str:
    """The host that a caller asked for, without the port or an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _identified() -> Identity:
    identity = current()
    traffic.name_actor(identity.actor)
    return identity


def _check_form(csrf: CSRFProtect) -> None:
    """Cookies are sent along by the browser whoever asks; so ask for something that only our own page knows."""
    if not same_origin():
        raise Problem(403, "cross-site", "This request was sent by another web site.")
    try:
        csrf.protect()
    except CSRFError as error:
        raise Problem(
            403,
            "csrf",
            f"{error.description} The page may be older than your login, or the browser refuses cookies.",
            suggestion="Reload the page and try again.",
        ) from error


def _refuse(identity: Identity, role: Role) -> BaseResponse:
    if identity.kind != "anonymous":
        raise Problem(
            403,
            "forbidden",
            f"This needs the role {role}; {identity.name} is {_article(identity.role)}.",
            required_role=role,
        )
    if for_program(request.path) or request.method not in _SAFE_METHODS:
        raise Problem(
            401,
            "unauthorized",
            "This needs a login, or a token in the header Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": 'Bearer realm="wakeless"'},
            suggestion="Make a token with: python app.py token create NAME --role viewer",
        )
    return redirect(login_address())


def login_address() -> str:
    """Where to log in, and to come back from to the page at hand."""
    path = request.full_path.removesuffix("?")
    return "/login" if path == "/" else f"/login?next={quote(path, safe='/')}"


def safe_next(target: str | None) -> str:
    """``target`` if it is a path of this site, otherwise the first page: nobody is sent elsewhere after a login."""
    return target if target and _OWN_PATH.fullmatch(target) else "/"


def _article(role: Role | None) -> str:
    return {None: "without a role", "viewer": "a viewer", "operator": "an operator", "admin": "an admin"}[role]


def endpoints_without_rule(app: Flask) -> list[str]:
    """The endpoints that nobody gave a rule; a test wants this empty."""
    return sorted({rule.endpoint for rule in app.url_map.iter_rules() if rule_of(app, rule.endpoint) is None})

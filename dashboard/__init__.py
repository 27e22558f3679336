"""Pages, APIs and doors. ``register(app)`` is the whole interface; the services must be in the app before."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from dashboard import (
    access,
    ack_link,
    alertmanager,
    api,
    bundle,
    canary,
    channel,
    checkup,
    export,
    go,
    header,
    health,
    identity,
    incident,
    inference,
    ingest,
    ladder,
    log_event,
    login,
    logtail,
    metrics,
    notice,
    oip,
    pages,
    peer,
    predict,
    problem,
    prometheus,
    push,
    report,
    request,
    routing,
    rulebook,
    runbook,
    sheet,
    silence,
    storage,
    target,
    target_sheet,
    version,
)
from dashboard.body import UploadBudget
from dashboard.log import configure_logging
from dashboard.openapi import blueprint as description
from dashboard.services import EXTENSION, Services
from dashboard.throttle import LoginThrottle
from dashboard.traffic import Traffic

__all__ = ["configure_logging", "register"]

MiB = 1024 * 1024
#: The largest body of anything but /predict: forms and queries.
MAX_BODY_BYTES = 1 * MiB
#: Bytes of uploads held at once, for all requests together; never less than four of the largest size.
UPLOAD_BYTES = 256 * MiB


def register(app: Flask) -> None:
    """Add every view, error handler and check to ``app``, and measure what comes through.

    ``app.extensions["wakeless"]`` must hold the services, ``app.config["SECRET_KEY"]`` the key of sessions.
    """
    settings = cast(Services, app.extensions[EXTENSION]).settings
    _configure(app, settings)
    app.extensions[login.THROTTLE] = LoginThrottle()
    app.extensions[ack_link.THROTTLE] = LoginThrottle()
    app.extensions[push.THROTTLE] = push.PushThrottle()
    app.extensions[peer.LOOKOUT] = peer.Lookout()
    app.extensions[inference.BUDGET] = UploadBudget(max(UPLOAD_BYTES, 4 * settings.model.max_body_bytes))
    problem.install(app)
    identity.install(app)
    access.install(app)
    header.install(app)
    rooms = (
        login,
        predict,
        oip,
        health,
        metrics,
        api,
        request,
        logtail,
        checkup,
        bundle,
        log_event,
        ladder,
        version,
        canary,
        channel,
        notice,
        routing,
        rulebook,
        runbook,
        incident,
        sheet,
        export,
        report,
        storage,
        prometheus,
        ingest,
        push,
        target,
        target_sheet,
        go,
        alertmanager,
        silence,
        ack_link,
    )
    for room in rooms:
        app.register_blueprint(room.blueprint)
    app.register_blueprint(description)
    pages.init_app(app)
    app.wsgi_app = Traffic(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to wrap the application
    if settings.server.trusted_proxies:
        count = settings.server.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_port=count
        )


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        # Browsers share cookies between the ports of a host; two servers on one machine must not log each other out.
        SESSION_COOKIE_NAME=f"wakeless_{settings.server.port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.server.secure_cookies,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.auth.session_hours),
    )
    app.url_map.strict_slashes = True

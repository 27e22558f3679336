"""The headers that every answer carries."""

from __future__ import annotations

from flask import Flask, Response

#: Plotly writes style attributes, and draws images through data: and blob: addresses. No script is ever inline.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: A page whose address is a secret says that nobody is to be told of it.
REFERRER_POLICY = "same-origin"
#: Files say for themselves how long they keep; everything else is about this moment and this person.
CACHE_CONTROL = "no-store"


def install(app: Flask) -> None:
    """Add the headers after every view and every error."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Referrer-Policy", REFERRER_POLICY)
    response.headers.setdefault("Cache-Control", CACHE_CONTROL)
    return response

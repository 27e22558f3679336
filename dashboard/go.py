"""``/go/NAME/…``: sends a caller to where a target's traffic goes now, to itself or to its standby."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from dashboard.access import require
from dashboard.problem import Problem, retry_after
from dashboard.target import watched
from targets.remedy.route import address, primary_url, standby_url

blueprint = Blueprint("go", __name__)

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@blueprint.route("/go/<target>", methods=_METHODS)
@blueprint.route("/go/<target>/", methods=_METHODS, endpoint="root")
@blueprint.route("/go/<target>/<path:path>", methods=_METHODS, endpoint="path")
@require("predict")
def go(target: str, path: str = "") -> Response | BaseResponse:
    """A redirect that keeps method, path, query and body; it leads to URLs of the settings and the page alone."""
    watcher = watched()
    found = watcher.roster.find(target)
    if found is None:
        raise Problem(404, "not-found", f"There is no target {target[:100]!r}.")
    switched = watcher.ladder.is_switched(target)
    base = standby_url(found.settings) if switched else primary_url(found.settings)
    if base is None:
        raise Problem(404, "not-found", f"{target} has no URL: its http probe would name one.")
    if not switched and any(one.state == "down" for one in watcher.prober.states() if one.target == target):
        raise Problem(
            503,
            "target-down",
            f"{target} is down, and no standby takes its callers.",
            headers={**retry_after(5), "Cache-Control": "no-store"},
        )
    response = redirect(address(base, path, request.query_string.decode("latin-1")), 307)
    response.headers["Cache-Control"] = "no-store"
    return response

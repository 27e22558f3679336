"""``GET /api/support-bundle``: what somebody who helps needs to know, masked, as one zip."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from tempfile import TemporaryFile

from flask import Blueprint, Response, send_file

from dashboard.access import require
from dashboard.api import audit
from dashboard.health import verdicts
from dashboard.moment import now_ms
from dashboard.sending import leave_the_deaf
from dashboard.services import services

blueprint = Blueprint("bundle", __name__, url_prefix="/api")
blueprint.after_request(leave_the_deaf)


@blueprint.get("/support-bundle")
@require("admin")
def bundle() -> Response:
    """Made anew for each call, on the disk: it may be some megabytes."""
    from reports.bundle import Sources, write_bundle

    rooms, now = services(), now_ms()
    health = asdict(verdicts())
    targets = rooms.targets
    sources = Sources(
        rooms.settings,
        rooms.database,
        rooms.store,
        now,
        live={
            "health": lambda: health,
            "model": lambda: asdict(rooms.model.status()),
            "collectors": lambda: {name: str(state) for name, state in rooms.collection.states().items()},
            "probe-states": lambda: [asdict(state) for state in targets.prober.states()],
            "scrape-states": lambda: [asdict(state) for state in targets.scraper.states()],
            "log-states": lambda: [asdict(state) for state in targets.logs.states()],
        },
        more_settings=lambda: [one.settings for one in targets.roster.targets() if one.origin == "page"],
    )
    audit("bundle.make", "support-bundle", {})
    file = TemporaryFile()  # noqa: SIM115  # the answer closes it
    try:
        write_bundle(file, sources)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    made = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return send_file(file, "application/zip", as_attachment=True, download_name=f"wakeless_support_{made}.zip")

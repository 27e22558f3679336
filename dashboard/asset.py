"""Serves everything a page loads: our own files, Bootstrap and its icons, and Plotly, all from installed packages.

One hash over all files is part of every address, so that everything may be kept for ever and modules that import each
other stay of one version. What compresses well is compressed once and kept on disk in the data folder.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import os
import re
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request, send_file, url_for

from dashboard import access
from dashboard.services import services

blueprint = Blueprint("asset", __name__)

STATIC = Path(__file__).resolve().parent.parent / "static"
# The icons that pages use; only these are cut from Bootstrap's sprite, which weighs more than a megabyte.
_ICON_NAMES = """
activity arrow-clockwise arrow-counterclockwise arrow-down arrow-left arrow-left-right arrow-right arrow-up
bar-chart-line bell bell-fill bell-slash binoculars bounding-box box box-arrow-right box-seam broadcast broadcast-pin
calendar-week camera card-checklist chat-left-text check-circle-fill check-lg chevron-down chevron-left chevron-right
circle-half
clipboard clipboard2-pulse clock clock-history cloud-slash compass cpu dash-circle diagram-3 download envelope
exclamation-triangle-fill file-diff file-zip filetype-csv filetype-png flag gear globe gpu-card graph-up grid-1x2 hdd
heart-pulse hourglass-split info-circle-fill journal-text keyboard layout-sidebar life-preserver lightning-charge
list-check list-ul moon-stars newspaper pause-fill pencil person-circle play-fill plug plus-lg power printer
question-circle-fill search send share signpost-split sun three-dots translate trash upload volume-up x-circle-fill x-lg
x-octagon-fill zoom-out
"""
ICONS = tuple(_ICON_NAMES.split())

_COMPRESSIBLE = {".css", ".js", ".svg", ".json"}
_YEAR = 365 * 24 * 3600


def _package(name: str, *parts: str) -> Path:
    """A file of an installed package, found without importing the package."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0], *parts)


class Assets:
    """Which files there are, under which names, and in which version."""

    def __init__(self) -> None:
        bootstrap = _package("flask_bootstrap", "static", "bootstrap5")
        self._foreign = {"bootstrap.min.css": bootstrap / "css" / "bootstrap.min.css"}
        self._sprite = bootstrap / "icons" / "bootstrap-icons.svg"
        self.plotly = _package("plotly", "package_data", "plotly.min.js")
        with self.plotly.open("rb") as file:
            found = re.search(rb"plotly\.js v([\w.-]+)", file.read(200))
        self.plotly_version = found[1].decode() if found else str(self.plotly.stat().st_size)
        self.version = self._hash()

    def find(self, name: str) -> Path | None:
        """The file behind a name, or None; a name cannot leave the folder."""
        if name in self._foreign:
            return self._foreign[name]
        path = (STATIC / name).resolve()
        return path if path.is_relative_to(STATIC) and path.is_file() else None

    def icons(self) -> str:
        """A sprite that holds only the icons in use."""
        text = self._sprite.read_text(encoding="utf-8")
        symbols = []
        for name in ICONS:
            found = re.search(rf'<symbol[^>]*id="{re.escape(name)}">.*?</symbol>', text)
            if found is None:
                raise LookupError(f"Bootstrap has no icon named {name!r}")
            symbols.append(found[0])
        return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>'

    def _hash(self) -> str:
        digest = hashlib.sha256(" ".join(ICONS).encode())
        for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
            digest.update(str(path.relative_to(STATIC)).encode())
            digest.update(path.read_bytes())
        for path in self._foreign.values():
            digest.update(str(path.stat().st_size).encode())
        return digest.hexdigest()[:12]


def init_app(app: Flask) -> None:
    """Give templates ``asset(name)``, ``icon(name)`` and ``plotly_url()``."""
    assets = Assets()
    app.extensions["wakeless_assets"] = assets

    def asset(name: str) -> str:
        if name != "icons.svg" and assets.find(name) is None:
            raise LookupError(f"there is no asset named {name!r}")
        return url_for("asset.file", version=assets.version, name=name)

    def plotly_url() -> str:
        return url_for("asset.plotly", version=assets.plotly_version)

    app.jinja_env.globals.update(asset=asset, plotly_url=plotly_url)


def _assets() -> Assets:
    found: Assets = current_app.extensions["wakeless_assets"]
    return found


@blueprint.get("/assets/plotly-<version>.min.js")
@access.asset
def plotly(version: str) -> Response:
    """Plotly, as the installed package has it."""
    assets = _assets()
    return _send(assets.plotly, f"plotly-{assets.plotly_version}.min.js", keep=version == assets.plotly_version)


@blueprint.get("/assets/<version>/<path:name>")
@access.asset
def file(version: str, name: str) -> Response:
    """One of our own files. Another version's address gets today's file, which then is not kept."""
    assets = _assets()
    if name == "icons.svg":
        path = _cache() / f"icons-{assets.version}.svg"
        if not path.exists():
            _write(path, assets.icons().encode())
    else:
        found = assets.find(name)
        if found is None:
            abort(404)
        path = found
    return _send(path, f"{assets.version}-{name.replace('/', '-')}", keep=version == assets.version)


@blueprint.get("/favicon.ico")
@access.asset
def favicon() -> Response:
    """The icon that browsers ask for unasked."""
    return _send(STATIC / "img" / "moon.svg", f"{_assets().version}-moon.svg", keep=False)


def _send(path: Path, cache_name: str, *, keep: bool) -> Response:
    """Send a file, compressed where that helps and the browser takes it."""
    kind = (
        "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    )
    compress = path.suffix in _COMPRESSIBLE and "gzip" in request.headers.get("Accept-Encoding", "")
    response = send_file(
        _compressed(path, cache_name) if compress else path, mimetype=kind, max_age=_YEAR if keep else 0
    )
    if compress:
        response.headers["Content-Encoding"] = "gzip"
    if path.suffix in _COMPRESSIBLE:
        response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable" if keep else "no-cache"
    return response


def _cache() -> Path:
    folder = services().settings.data_dir.resolve() / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compressed(path: Path, name: str) -> Path:
    """The compressed copy of a file, made at the first request; it is streamed, never held in memory."""
    target = _cache() / f"{name}.gz"
    if not target.exists():
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".making-")
        with (
            path.open("rb") as source,
            os.fdopen(handle, "wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, 1 << 16)
        Path(draft).replace(target)
    return target


def _write(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".making-")
    with os.fdopen(handle, "wb") as raw:
        raw.write(content)
    Path(draft).replace(path)

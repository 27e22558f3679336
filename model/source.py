"""From ``model.path`` to what makes a model: a module's class, a folder, a file, or a Transformers pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model import folder, pipeline, plugin
from model.artifact import SUFFIXES
from model.interface import Model


def resolve(path: str) -> Callable[[], Model]:
    """What makes a fresh instance of the model. May import code. Raises :class:`model.fault.LoadFailure`."""
    if path.startswith(pipeline.PREFIX):
        return pipeline.resolve(path)
    if not is_file_path(path):
        return plugin.resolve(path)
    place = Path(path).expanduser()
    return folder.resolve_file(place) if place.suffix in SUFFIXES else folder.resolve_folder(place)


def is_file_path(path: str) -> bool:
    """Whether the path is one of the file system, not of modules."""
    return "/" in path or Path(path).suffix in SUFFIXES


def short_name(path: str) -> str:
    """What to call a model that is not loaded yet."""
    if path.startswith(pipeline.PREFIX):
        return path.split(":", 2)[1]
    if not is_file_path(path):
        return path.rpartition(":")[2] or path
    place = Path(path)
    return place.stem if place.suffix in SUFFIXES else place.name

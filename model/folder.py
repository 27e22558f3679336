"""Models in folders: ``models/<name>/<version>/`` with code or weights, and what a person says about them."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from model.artifact import SUFFIXES, open_file
from model.fault import LoadFailure, brief
from model.interface import Model
from model.network import Card, NetworkModel, Pair, Spec
from model.plugin import checked

CARD_FILE = "model.yaml"
CODE_FILE = "model.py"
GOLDEN_FILE = "golden.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Input(_Part):
    dtype: Literal["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"] = "float32"
    shape: list[Annotated[int, Field(ge=-1, le=2**31)]] | None = None


class _Pair(_Part):
    input: Any
    output: Any = None
    label: str | None = Field(None, alias="class")
    tolerance: float = Field(1e-4, ge=0)


class _Card(_Part):
    """``model.yaml``."""

    name: str | None = None
    version: Annotated[str | None, BeforeValidator(lambda value: None if value is None else str(value))] = None
    file: str | None = None
    model: str | None = None
    input: _Input | None = None
    classes: list[str] = []


def resolve_file(path: Path) -> Callable[[], Model]:
    """A network in a file of its own, which is called as the file is."""
    return lambda: NetworkModel(lambda device: open_file(path, device), Card(name=path.stem))


def resolve_folder(path: Path) -> Callable[[], Model]:
    """The model in a version's folder, or in the newest version of a model's. Raises :class:`LoadFailure`."""
    folder = newest(path)
    card = _read_card(folder)
    name, version = card.name or folder.parent.name, card.version or folder.name
    if card.model or (card.file is None and (folder / CODE_FILE).exists()):
        return _named(_load_code(folder, card.model or CODE_FILE), name, version)
    weights = folder / card.file if card.file else _only_weights(folder)
    if weights.resolve().parent != folder.resolve():
        raise LoadFailure(f"load_failed: bad_card {CARD_FILE}", "file must name a file of the same folder.")
    golden = _read_golden(folder)
    spec = None if card.input is None else Spec(card.input.dtype, _shape(card.input.shape))
    described = Card(name, version, spec, tuple(card.classes), golden)
    return lambda: NetworkModel(lambda device: open_file(weights, device), described)


def newest(path: Path) -> Path:
    """The folder itself if it holds a model, else its newest version: the last by number, then by name."""
    if not path.is_dir():
        raise LoadFailure(f"load_failed: no_such_folder {path.name}", "Correct model.path, or put the folder there.")
    if _holds_model(path):
        return path
    found = versions(path)
    if not found:
        raise LoadFailure(
            f"load_failed: empty_folder {path.name}",
            f"Put {CODE_FILE}, or a file that ends with {' or '.join(SUFFIXES)}, into a folder for each version.",
        )
    return found[-1]


def versions(path: Path) -> list[Path]:
    """The versions' folders in a model's, the newest last; none where there is no such folder, or it is a version.

    What begins with a dot is still being copied, or none of ours.
    """
    if not path.is_dir() or _holds_model(path):
        return []
    found = [child for child in path.iterdir() if child.is_dir() and child.name[0] != "." and _holds_model(child)]
    return sorted(found, key=lambda folder: version_key(folder.name))


def version_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``2`` before ``10`` and ``1.9`` before ``1.10``."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _holds_model(folder: Path) -> bool:
    return any((folder / name).exists() for name in (CARD_FILE, CODE_FILE)) or bool(_weights(folder))


def _weights(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file())


def _only_weights(folder: Path) -> Path:
    found = _weights(folder)
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found) or "none"
    raise LoadFailure(f"load_failed: which_file {names}", f"Name the file in {CARD_FILE}: file: NAME.")


def _shape(shape: list[int] | None) -> tuple[int, ...] | None:
    return None if shape is None else tuple(shape)


def _read_card(folder: Path) -> _Card:
    path = folder / CARD_FILE
    if not path.exists():
        return _Card()
    try:
        return _Card.model_validate(yaml.safe_load(path.read_bytes()) or {})
    except (yaml.YAMLError, OSError, ValidationError) as error:
        raise LoadFailure(
            f"load_failed: bad_card {_first(error)}", f"Correct {CARD_FILE}; see docs/serving.md."
        ) from error


def _read_golden(folder: Path) -> tuple[Pair, ...]:
    path = folder / GOLDEN_FILE
    if not path.exists():
        return ()
    try:
        document = orjson.loads(path.read_bytes())
        if not isinstance(document, list):
            raise LoadFailure(f"load_failed: bad_golden {GOLDEN_FILE}", "It must be a list of pairs.")
        pairs = [_Pair.model_validate(one) for one in document]
    except (orjson.JSONDecodeError, OSError, ValidationError) as error:
        raise LoadFailure(
            f"load_failed: bad_golden {_first(error)}",
            f'{GOLDEN_FILE} is a list of {{"input": …, "output": …}} or {{"input": …, "class": "…"}}.',
        ) from error
    for pair in pairs:
        if pair.output is None and pair.label is None:
            raise LoadFailure(f"load_failed: bad_golden {GOLDEN_FILE}", "Every pair needs an output or a class.")
    return tuple(Pair(pair.input, pair.output, pair.label, pair.tolerance) for pair in pairs)


def _first(error: Exception) -> str:
    """The first thing that is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return brief(error)


def _load_code(folder: Path, source: str) -> type[Model]:
    """The class in ``model.py``, or the one that ``file.py:Class`` names. It is read anew each time."""
    file, _, wanted = source.partition(":")
    path = folder / file
    name = re.sub(r"\W", "_", f"wakeless_model_{folder.parent.name}_{folder.name}_{path.stem}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise LoadFailure(f"load_failed: no_such_file {file}", f"Correct model in {CARD_FILE}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickling look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # any code may run in a plug-in's file
        raise LoadFailure(
            f"load_failed: import_error {brief(error)}", f"Running {file} raised; the log has the traceback."
        ) from error
    if wanted:
        if not hasattr(module, wanted):
            raise LoadFailure(f"load_failed: no_such_class {wanted}", f"{file} has no {wanted}.")
        return checked(getattr(module, wanted), file, wanted)
    found = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Model) and kind.__module__ == name
    ]
    if len(found) != 1:
        names = ", ".join(kind.__name__ for kind in found) or "none"
        raise LoadFailure(f"load_failed: which_class {names}", f"Name it in {CARD_FILE}: model: {file}:CLASS.")
    return checked(found[0], file, found[0].__name__)


def _named(kind: type[Model], name: str, version: str) -> Callable[[], Model]:
    """The folder's names count where the class leaves the defaults."""

    def make() -> Model:
        model = kind()
        if kind.name == Model.name:
            model.name = name
        if kind.version == Model.version:
            model.version = version
        return model

    return make

"""Find the plug-in class that a path names, or say exactly what stands in the way."""

from __future__ import annotations

import importlib
import re

from model.fault import brief
from model.interface import Model

_PATH = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")


class LoadFailure(Exception):
    """A model that cannot be served: ``reason`` is machine-readable, ``suggestion`` a sentence for the operator."""

    def __init__(self, reason: str, suggestion: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


def class_name(path: str) -> str:
    """What to call a model whose class is not known yet: the class part of its path."""
    return path.rpartition(":")[2] or path


def resolve(path: str) -> type[Model]:
    """The class at ``package.module:Class``. Imports the module. Raises :class:`LoadFailure`."""
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise LoadFailure(f"load_failed: bad_path {path}", "Write model.path as package.module:Class.")
    module_name, name = parts["module"], parts["name"]
    importlib.invalidate_caches()  # the file may have been put there after the last failed attempt
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise LoadFailure(
                f"load_failed: no_such_module {missing}",
                f"There is no module {missing} on the Python path; correct model.path or install the package.",
            ) from error
        raise LoadFailure(
            f"load_failed: missing_dependency {missing}",
            f"{module_name} imports {missing}, which is not installed: pip install it into this environment.",
        ) from error
    except Exception as error:  # any code may run in a plug-in's module
        raise LoadFailure(
            f"load_failed: import_error {brief(error)}", f"Importing {module_name} raised; the log has the traceback."
        ) from error
    if not hasattr(module, name):
        raise LoadFailure(
            f"load_failed: no_such_class {name}", f"{module_name} has no {name}; it offers: {_offered(module)}."
        )
    return _checked(getattr(module, name), module_name, name)


def _checked(found: object, module_name: str, name: str) -> type[Model]:
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise LoadFailure(
            f"load_failed: not_a_model {name}", f"Make {module_name}.{name} a class that extends model.Model."
        )
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise LoadFailure(
            f"load_failed: not_a_model {name}", f"{module_name}.{name} still has to define {' and '.join(missing)}."
        )
    return found


def _offered(module: object) -> str:
    """The names of the models in ``module``."""
    kinds = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Model))
    return ", ".join(sorted(kind.__name__ for kind in kinds if kind is not Model)) or "no model"

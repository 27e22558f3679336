"""Find the model that a module offers by name, or say exactly what stands in the way."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

from model import bare
from model.fault import LoadFailure, brief
from model.interface import Model

_PATH = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")


def resolve(path: str) -> Callable[[], Model]:
    """What makes the model at ``package.module:name``: a class, a network or a function. Imports the module.

    Raises :class:`LoadFailure`.
    """
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise LoadFailure(
            f"load_failed: bad_path {path}",
            "Write model.path as package.module:Class, or as the path of a folder or a file with a / in it.",
        )
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
    found = getattr(module, name)
    return bare.maker(found, name) or checked(found, module_name, name)


def checked(found: object, module_name: str, name: str) -> type[Model]:
    """The class, if it can be hosted. Raises :class:`LoadFailure`."""
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

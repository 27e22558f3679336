"""A routing file as plain text, lists and mappings: every scalar as it was written, as Go reads YAML into strings."""

from __future__ import annotations

import re
from typing import Any

import yaml

_NULLS = ("", "~", "null", "Null", "NULL")


class Quoted(str):
    """A scalar that stands in quotes, and so is never a number, a truth or nothing."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """YAML whose scalars stay text; ``<<`` merges mappings, and no key may be given twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML reads it
        "<": [("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"))]
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=True)


def _scalar(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str | None:
    if node.style in ("'", '"'):
        return Quoted(node.value)
    return None if node.style is None and node.value in _NULLS else str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)


def read_text(text: str) -> Any:
    """The tree of a YAML text. Raises ValueError with one line."""
    try:
        # S506: _Loader is a SafeLoader that makes text, lists and mappings.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is not valid YAML: {_without_snippet(error)}") from None


def _without_snippet(error: Exception) -> str:
    """What is wrong and where. PyYAML's own text quotes the line, which may hold a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem}, line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    return " ".join(str(getattr(error, "problem", None) or type(error).__name__).split())

"""A YAML document as a tree of nodes, read fast, and never so deep that it takes the process down."""

from __future__ import annotations

import yaml

#: Deeper than any rule file is; the parser in C would follow it until the stack ends, and the process with it.
MAX_DEPTH = 40
#: The parser in C, which takes a tenth of the time, where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def first_document(text: str) -> yaml.Node | None:
    """The tree of the first document; Prometheus looks at no other. Raises :class:`yaml.YAMLError`."""
    _check_depth(text)
    loader = _LOADER(text)
    try:
        if not loader.check_node():
            return None
        return loader.get_node()
    finally:
        loader.dispose()


def _check_depth(text: str) -> None:
    """Refuse what is nested too deeply, looking at one event after the other: that takes no stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise yaml.YAMLError("nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            return

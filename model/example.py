"""A document that looks like what a JSON Schema asks for: a start for somebody who fills it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Deeper than this nobody wants an example.
_DEEPEST = 12
#: What was referred to on the way down, ``None`` for a step without; a schema may refer to itself.
Trail = tuple[str | None, ...]
#: Most elements of a list; a schema may ask for thousands.
_MOST = 8
#: What strings of these formats look like.
_FORMATS = {
    "date": "2030-01-31",
    "time": "12:00:00Z",
    "date-time": "2030-01-31T12:00:00Z",
    "duration": "PT1M",
    "email": "somebody@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


def example_of(schema: Any) -> Any:
    """What the schema gives as an example or a default, else the plainest value of its type.

    Keywords that need a search (``pattern``, ``not``, ``if``) are not looked at: a person goes on from here.
    """
    return _value(schema, schema, ())


def _value(node: Any, root: Any, trail: Trail) -> Any:
    if not isinstance(node, Mapping) or len(trail) > _DEEPEST or ("$ref" in node and node["$ref"] in trail):
        return None
    trail = (*trail, node.get("$ref"))
    node = _resolved(node, root, trail[:-1])
    for given in (_first(node.get("examples")), node.get("example"), node.get("const"), node.get("default")):
        if given is not None:
            return given
    if isinstance(choices := node.get("enum"), Sequence) and choices:
        return choices[0]
    if "default" in node:
        return None
    for several in ("anyOf", "oneOf"):
        if isinstance(found := node.get(several), Sequence) and found:
            chosen = next((one for one in found if isinstance(one, Mapping) and one.get("type") != "null"), None)
            return _value(chosen, root, trail)
    return _plain(node, root, trail)


def _plain(node: Mapping[str, Any], root: Any, trail: Trail) -> Any:
    kind = _kind(node)
    if kind == "object":
        return _object(node, root, trail)
    if kind == "array":
        first = [_value(one, root, trail) for one in node.get("prefixItems", ())]
        least = min(_MOST, max(int(node.get("minItems", 0)), 0 if first else 1))
        return first + [_value(node.get("items"), root, trail) for _ in range(least - len(first))]
    if kind == "string":
        text = _FORMATS.get(str(node.get("format")), "text")
        return text + "." * max(0, min(int(node.get("minLength", 0)), 1000) - len(text))
    if kind in ("integer", "number"):
        return _number(node, whole=kind == "integer")
    return False if kind == "boolean" else None


def _object(node: Mapping[str, Any], root: Any, trail: Trail) -> dict[str, Any]:
    """All that must be there, and of the rest what says of itself what it may be."""
    found = {}
    required = node.get("required", ())
    for name, one in node.get("properties", {}).items():
        value = _value(one, root, trail)
        if value is not None or name in required:
            found[str(name)] = value
    return found


def _number(node: Mapping[str, Any], *, whole: bool) -> int | float:
    """0, or what is nearest to it of what is allowed; between two bounds that are excluded their middle."""
    step = 1 if whole else 0.5
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if above is not None and below is not None and not whole:
        return float((above + below) / 2)
    low = node.get("minimum") if above is None else above + step
    high = node.get("maximum") if below is None else below - step
    value = 0 if low is None else max(0, low)
    value = value if high is None else min(value, high)
    return int(value) if whole else value


def _kind(node: Mapping[str, Any]) -> str | None:
    kind = node.get("type")
    if isinstance(kind, str):
        return kind
    if isinstance(kind, Sequence):
        return next((str(one) for one in kind if one != "null"), None)
    return "object" if "properties" in node else "array" if "items" in node or "prefixItems" in node else None


def _resolved(node: Mapping[str, Any], root: Any, trail: Trail) -> Mapping[str, Any]:
    """The node with what it refers to, and all of its ``allOf``, as one; what stands in it itself counts most."""
    merged: dict[str, Any] = {}
    target = node.get("$ref")
    parts = [_place(target, root)] if target is not None and target not in trail else []
    parts += node.get("allOf", ())
    for part in parts:
        if not isinstance(part, Mapping) or len(trail) > _DEEPEST:
            continue
        part = _resolved(part, root, (*trail, target))
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged |= part
        merged |= ({"properties": properties} if properties else {}) | ({"required": required} if required else {})
    own = {name: value for name, value in node.items() if name not in ("$ref", "allOf")}
    own["properties"] = {**merged.get("properties", {}), **own.get("properties", {})}
    own["required"] = [*merged.get("required", ()), *own.get("required", ())]
    return merged | {name: value for name, value in own.items() if value or name not in ("properties", "required")}


def _place(reference: Any, root: Any) -> Any:
    """What ``#/$defs/Name`` means; ``None`` where there is nothing, or it is elsewhere."""
    found = root
    if not str(reference).startswith("#"):
        return None
    for step in str(reference)[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _first(several: Any) -> Any:
    return several[0] if isinstance(several, list | tuple) and several else None

"""What a template can see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alerts.quantity import Element, Value


@dataclass(frozen=True, slots=True)
class Context:
    """What a template can see: the alert's labels and value, and this server's own labels and address.

    ``query`` answers a PromQL query at the time of the evaluation; None where that cannot be asked.
    """

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    query: Callable[[str], list[Element]] | None = None


#: What the context that every template begins with has.
FIELDS: Mapping[str, Callable[[Context], Value]] = {
    "Labels": lambda context: context.labels,
    "Value": lambda context: context.value,
    "ExternalLabels": lambda context: context.external_labels,
    "ExternalURL": lambda context: context.external_url,
}


def no_field(name: str) -> str:
    """What to say of a field that the context does not have."""
    return f"'.{name}' is not known; known are: {', '.join(f'.{known}' for known in FIELDS)}"

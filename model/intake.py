"""What a request to the model may look like, for a form that somebody tries it with."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import structlog

from model.call import Calls
from model.example import example_of
from model.interface import Model
from model.loader import Instance

log = structlog.get_logger(__name__)

#: How a body can be given: as JSON, as plain text, or as a file.
Form = Literal["json", "text", "file"]


@dataclass(frozen=True, slots=True)
class Intake:
    """What the model that serves takes. ``forms`` is empty where it does not say."""

    forms: tuple[Form, ...]
    #: Content types of the body, as the model's schema names them.
    types: tuple[str, ...]
    #: A JSON document, or a text, that looks like what the schema asks for; ``None`` where it says nothing of that.
    example: Any
    #: Whether it can answer in steps.
    streams: bool


class Intakes:
    """Asks each instance once: its schema never changes, and costs a page more than all the rest of it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._known: tuple[weakref.ref[Instance], Intake] | None = None

    def of(self, instance: Instance) -> Intake:
        """What it takes, as far as it says so without raising. Any thread may ask."""
        known = self._known
        if known is not None and known[0]() is instance:
            return known[1]
        with self._calls.running("signature"):
            found = intake_of(instance.model, streams=instance.streams)
        self._known = weakref.ref(instance), found
        return found


def intake_of(model: Model, *, streams: bool) -> Intake:
    """From the model's schema; without one, a model that leaves ``decode`` to the default reads JSON."""
    try:
        request = _request(model)
        forms: list[Form] = []
        for kind in request:
            if (form := _form(kind)) not in forms:
                forms.append(form)
        if not request and type(model).decode is Model.decode:
            forms.append("json")
        example = next((example_of(one) for kind, one in request.items() if _form(kind) != "file"), None)
        orjson.dumps(example)  # a schema may hold anything
        return Intake(tuple(forms), tuple(request), example, streams)
    except Exception:  # a plug-in may raise anything, and return anything
        log.exception("schema_not_usable")
        return Intake((), (), None, streams)


def _request(model: Model) -> dict[str, Any]:
    schema = model.schema()
    return {} if schema is None else {str(kind): one for kind, one in schema.request.items()}


def _form(content_type: str) -> Form:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return "json"
    return "text" if kind.startswith("text/") else "file"

"""What a caller asks for, and what is refused."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from examples.generate.drawing import COLOURS, SHAPES
from model import BadInput

MAX_STEPS: Final = 100
#: The side of a picture, in pixels: made at 32, and enlarged.
MIN_SIZE: Final = 32
MAX_SIZE: Final = 512
#: Words that say nothing.
_FILLERS: Final = frozenset(("a", "an", "the", "one"))


class Request(BaseModel):
    """What a caller may send; everything may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: Annotated[str, Field(max_length=100)] = ""
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 20
    size: Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)] = 128
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    preview: bool = False


class Wish(BaseModel):
    """A request that was understood. ``None``: whatever comes. ``asked``: the steps before they were cut down."""

    model_config = ConfigDict(frozen=True)

    shape: str | None = None
    colour: str | None = None
    steps: int = 20
    asked: int = 20
    size: int = 128
    seed: int = 0
    preview: bool = False


def read_wish(document: Any) -> Wish:
    """From JSON such as ``{"prompt": "a red star", "steps": 20}``. Raises :class:`BadInput` (422)."""
    try:
        request = Request.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}.", 422) from error
    shape, colour = understand(request.prompt)
    return Wish(
        shape=shape,
        colour=colour,
        steps=request.steps,
        asked=request.steps,
        size=request.size,
        seed=request.seed,
        preview=request.preview,
    )


def understand(prompt: str) -> tuple[str | None, str | None]:
    """The shape and the colour that a prompt names, at most one of each. Raises :class:`BadInput` (422)."""
    found: dict[str, str] = {}
    for word in prompt.casefold().split():
        if word in _FILLERS:
            continue
        kind = "shape" if word in SHAPES else "colour" if word in COLOURS else None
        if kind is None:
            raise BadInput(
                f"prompt: this model does not know {word!r}; it knows {', '.join(SHAPES)} in {', '.join(COLOURS)}.", 422
            )
        if kind in found:
            raise BadInput(f"prompt: one {kind} at a time, not {found[kind]!r} and {word!r}.", 422)
        found[kind] = word
    return found.get("shape"), found.get("colour")

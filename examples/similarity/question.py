"""What a caller asks: whether two texts are one address, once or for a list of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from examples.similarity.encoder import Splitter, Tokens
from examples.similarity.part import numbers_agree, parts_of, plain, spelling, words_agree
from model import BadInput

MAX_CHARACTERS: Final = 200
MAX_PAIRS: Final = 64
Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]


class AddressPair(BaseModel):
    """Two addresses."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    a: Text
    b: Text

    @field_validator("a", "b")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not any(sign.isalnum() for sign in text):
            raise ValueError("there is neither a letter nor a digit in it")
        return text


class AddressPairs(BaseModel):
    """A list of them; each is answered by itself."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    pairs: Annotated[list[AddressPair], Field(min_length=1, max_length=MAX_PAIRS)]


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair as far as it can be judged without the network: all shares are 0 to 1."""

    a: Tokens
    b: Tokens
    spelling: float
    numbers: float
    words: float

    @property
    def known(self) -> float:
        """The share of what is written that the network's vocabulary has: of the worse of the two texts."""
        return min(self.a.known, self.b.known)


@dataclass(frozen=True, slots=True)
class Question:
    """One request; ``single`` when it was a pair and no list."""

    pairs: tuple[Compared, ...]
    single: bool
    characters: int

    @property
    def texts(self) -> list[Tokens]:
        return [text for pair in self.pairs for text in (pair.a, pair.b)]


def compare(splitter: Splitter, one: str, other: str) -> Compared:
    """All that there is to say of a pair before the network has seen it."""
    a, b = plain(one), plain(other)
    parts = parts_of(a), parts_of(b)
    return Compared(splitter.split(a), splitter.split(b), spelling(a, b), numbers_agree(*parts), words_agree(*parts))


def read_question(document: Any, splitter: Splitter) -> Question:
    """From JSON: ``{"a": …, "b": …}``, or ``{"pairs": [{"a": …, "b": …}, …]}``. Raises :class:`BadInput` (422)."""
    single = not (isinstance(document, dict) and "pairs" in document)
    try:
        pairs = [AddressPair.model_validate(document)] if single else AddressPairs.model_validate(document).pairs
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}.", 422) from error
    compared = tuple(compare(splitter, pair.a, pair.b) for pair in pairs)
    return Question(compared, single, sum(len(pair.a) + len(pair.b) for pair in pairs))

"""Address similarity, hosted as ``examples.similarity.matcher:AddressMatcher``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from examples.similarity.encoder import Encoder, Tokens, find_folder, length_for
from examples.similarity.question import AddressPair, AddressPairs, Compared, Question, compare, read_question
from model.interface import Golden, Model
from model.signature import Schema


class AddressMatcher(Model):
    """Says of two texts whether they are one address. Set other thresholds in a subclass, and name that."""

    name = "address-matcher"
    version = "1"
    classes = ("same", "unsure", "different")
    #: From this score on two texts are the same address …
    same_from = 0.85
    #: … and below this one they are different ones. What lies between is for a person, or for a slower method.
    different_below = 0.7
    #: How much of the score likeness may take away; numbers and words that contradict take the rest.
    share_of_likeness = 0.3

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.network: Any = None

    def load(self, device: str) -> None:
        """Read the weights. Raises ``FileNotFoundError``, or ``ValueError`` for files that are not the known ones."""
        if not 0 < self.different_below <= self.same_from < 1:
            raise ValueError("it has to be 0 < different_below <= same_from < 1")
        self.encoder = Encoder(self._folder or find_folder(), device)
        self.network = self.encoder.network

    def decode(self, body: bytes, content_type: str) -> Question:
        """Split and compare on the request's thread, so that the model thread has only the network to run."""
        return read_question(super().decode(body, content_type), self.encoder)

    def bucket(self, input: Question) -> int:
        """How many tokens its texts are padded to: short addresses do not wait for the arithmetic of long ones."""
        return length_for(input.texts)

    def predict(self, batch: Sequence[Question]) -> list[dict[str, Any]]:
        """Every text is read once, however often it comes."""
        places: dict[Tokens, int] = {}
        for question in batch:
            for text in question.texts:
                places.setdefault(text, len(places))
        vectors = self.encoder.embed(list(places), max(map(self.bucket, batch)))
        return [
            _result(
                question,
                [
                    self._judge(pair, float(vectors[places[pair.a]] @ vectors[places[pair.b]]))
                    for pair in question.pairs
                ],
            )
            for question in batch
        ]

    def _judge(self, pair: Compared, meaning: float) -> dict[str, Any]:
        """What contradicts counts most; the network, for as much as it could read, and the spelling for the rest."""
        alike = pair.known * max(0.0, meaning) + (1 - pair.known) * pair.spelling
        score = pair.numbers * pair.words * (1 - self.share_of_likeness * (1 - alike))
        label = "same" if score >= self.same_from else "different" if score < self.different_below else "unsure"
        return _answer(pair, label, score, round(meaning, 4))

    def fallback(self, input: Question) -> dict[str, Any]:
        """By spelling and numbers alone, which is not enough to call two the same; ``meaning`` is null."""
        answers = []
        for pair in input.pairs:
            agreement = pair.numbers * pair.words
            label = "different" if agreement < 1 else "unsure"
            answers.append(_answer(pair, label, pair.spelling * agreement, None))
        return _result(input, answers)

    def describe(self, input: Question) -> dict[str, Any]:
        """Counts only: an address is personal data."""
        return {"pairs": len(input.pairs), "characters": input.characters, "tokens": self.bucket(input)}

    def schema(self) -> Schema:
        share = {"type": "number", "minimum": 0, "maximum": 1}
        properties = {
            "class": {"enum": list(self.classes)},
            "score": share,
            "meaning": {"type": ["number", "null"], "minimum": -1, "maximum": 1},
            "spelling": share,
            "numbers": share,
            "words": share,
            "known": share,
        }
        answer = {"type": "object", "properties": properties, "required": list(properties)}
        answers = {"type": "object", "properties": {"answers": {"type": "array", "items": answer}}}
        body = {"oneOf": [AddressPair.model_json_schema(), AddressPairs.model_json_schema()]}
        return Schema(request={"application/json": body}, result={"oneOf": [answer, answers]})

    def golden(self) -> Sequence[Golden]:
        """Pairs of every kind, and two sentences whose likeness the network's publishers state."""
        pairs: list[Golden] = [
            (self._question(one, other), partial(_is_class, label)) for one, other, label in _GOLDEN_PAIRS
        ]
        known = self._question("That is a happy person", "That is a very happy person")
        return [*pairs, (known, lambda answer: abs(answer["meaning"] - _HAPPY) < 0.01)]

    def _question(self, one: str, other: str) -> Question:
        return Question((compare(self.encoder, one, other),), single=True, characters=len(one) + len(other))


_GOLDEN_PAIRS: Final = (
    ("350 Fifth Avenue, New York, NY 10118", "350 5th Ave, New York NY", "same"),
    ("350 Fifth Avenue, New York, NY 10118", "530 Fifth Avenue, New York, NY 10118", "different"),
    ("上海市徐汇区漕溪北路88号1208室", "徐汇区漕溪北路88号1208", "same"),
    ("上海市徐汇区漕溪北路88号1208室", "上海市徐汇区漕溪北路88号1209室", "different"),
)
_HAPPY: Final = 0.943


def _is_class(label: str, answer: Any) -> bool:
    return bool(answer["class"] == label)


def _answer(pair: Compared, label: str, score: float, meaning: float | None) -> dict[str, Any]:
    return {
        "class": label,
        "score": round(score, 4),
        "meaning": meaning,
        "spelling": round(pair.spelling, 4),
        "numbers": round(pair.numbers, 4),
        "words": round(pair.words, 4),
        "known": round(pair.known, 4),
    }


def _result(question: Question, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer itself, which counts by its class, or a list of answers, which does not."""
    return answers[0] if question.single else {"answers": answers}

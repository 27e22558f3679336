"""A text generator that answers word by word, hosted as ``examples.text.generator:TextGenerator``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import safe_open
from torch import Tensor

from examples.text.grammar import END, VOCABULARY, judge, split
from examples.text.network import TextNetwork, to_tokens
from model import BadInput, Model
from model.interface import Golden
from model.signature import Schema

WEIGHTS: Final = Path(__file__).with_name("text_generator.safetensors")
MAX_PROMPT: Final = 1000
MAX_TOKENS: Final = 500
#: What a request for fewer tokens is never cut down to.
_LEAST_TOKENS: Final = 16


class Request(BaseModel):
    """What a caller may ask. A token is a word, a digit or a sign; temperature 0 always takes the likeliest one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: Annotated[str, Field(max_length=MAX_PROMPT)] = ""
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = 100
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class Draft:
    """A text in the making: ``pick`` goes on with it until ``finish`` says why it is over."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.text: list[str] = []
        self.finish: str | None = None
        self._chance = torch.Generator().manual_seed(request.seed)

    def pick(self, scores: Tensor) -> int:
        """Choose the next token by its scores (vocabulary,), which are on the CPU."""
        if self.request.temperature == 0:
            token = int(scores.argmax())
        else:
            chances = (scores / self.request.temperature).softmax(0)
            token = int(torch.multinomial(chances, 1, generator=self._chance))
        if VOCABULARY[token] == END:
            self.finish = "end"
        else:
            self.text.append(VOCABULARY[token])
            if len(self.text) == self.request.max_tokens:
                self.finish = "length"
        return token

    def result(self) -> dict[str, Any]:
        return {"text": self.request.prompt + "".join(self.text), "tokens": len(self.text), "finish": self.finish}


class TextGenerator(Model):
    """Continues a prompt. Equal requests give equal texts, because chance comes from the request's own seed."""

    name = "night-log"
    version = "1"

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self.weights = weights
        self.device = torch.device("cpu")
        self.network = TextNetwork().eval()

    def load(self, device: str) -> None:
        """Read the weights. Raises ``ValueError`` if they were trained for other words."""
        with safe_open(self.weights, framework="pt") as file:
            if json.loads(file.metadata()["vocabulary"]) != list(VOCABULARY):
                raise ValueError(f"{self.weights.name} was trained for other words: run examples.text.train")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        network = TextNetwork()
        network.load_state_dict(state)
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()

    def predict(self, batch: Sequence[Request]) -> list[dict[str, Any]]:
        """All texts of a batch grow together, one token a step; those that are over leave."""
        drafts = [Draft(request) for request in batch]
        for _ in self._write(drafts):
            pass
        return [draft.result() for draft in drafts]

    def stream(self, input: Request) -> Iterator[dict[str, str]]:
        """One event for each token."""
        draft, told = Draft(input), 0
        for _ in self._write([draft]):
            if len(draft.text) > told:
                told = len(draft.text)
                yield {"token": draft.text[-1]}

    def _write(self, drafts: Sequence[Draft]) -> Iterator[None]:
        """Give every draft one more token a turn, until all are over."""
        scores, state = self._read([END + draft.request.prompt for draft in drafts])
        going = list(drafts)
        while True:
            tokens = [draft.pick(row) for draft, row in zip(going, scores, strict=True)]
            yield
            kept = [place for place, draft in enumerate(going) if draft.finish is None]
            if not kept:
                return
            going = [going[place] for place in kept]
            scores, state = self._advance([tokens[place] for place in kept], state[:, kept].contiguous())

    # Each of these leaves inference mode before the generator above yields: other streams run in between.

    @torch.inference_mode()
    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Scores (n, vocabulary), on the CPU, and state (1, n, WIDTH) after texts, read one by one: lengths differ."""
        read = [self.network(to_tokens(text)[None].to(self.device)) for text in texts]
        last = torch.cat([scores[:, -1] for scores, _ in read])
        return last.float().cpu(), torch.cat([state for _, state in read], dim=1)

    @torch.inference_mode()
    def _advance(self, tokens: Sequence[int], state: Tensor) -> tuple[Tensor, Tensor]:
        """The same after one more token for each text."""
        scores, state = self.network(torch.tensor(tokens, device=self.device)[:, None], state)
        return scores[:, -1].float().cpu(), state

    def decode(self, body: bytes, content_type: str) -> Request:
        """JSON such as ``{"prompt": "03:12 The photo", "max_tokens": 200}``; every entry may be left out."""
        document = super().decode(body, content_type)
        try:
            request = Request.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}.", 422) from error
        unknown = [token for token in split(request.prompt) if token == END or token not in VOCABULARY]
        if unknown:
            raise BadInput(f"prompt: this model does not know {unknown[0]!r}; it knows {len(VOCABULARY)} words.", 422)
        return request

    def describe(self, input: Request) -> dict[str, Any]:
        return {"prompt_characters": len(input.prompt), "max_tokens": input.max_tokens}

    def lighter(self, input: Request, level: float) -> Request:
        """Down to a quarter of the tokens."""
        fewer = max(_LEAST_TOKENS, round(input.max_tokens * (1 - 0.75 * level)))
        return input.model_copy(update={"max_tokens": min(input.max_tokens, fewer)})

    def fallback(self, input: Request) -> dict[str, Any]:
        """The prompt as it came: a caller sees by ``finish`` that nobody went on with it."""
        return {"text": input.prompt, "tokens": 0, "finish": "fallback"}

    def schema(self) -> Schema:
        result = {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "tokens": {"type": "integer", "minimum": 0},
                "finish": {"enum": ["end", "length", "fallback"]},
            },
            "required": ["text", "tokens", "finish"],
        }
        return Schema(request={"application/json": Request.model_json_schema()}, result=result)

    def golden(self) -> Sequence[Golden]:
        """The likeliest report for each of three beginnings must be one that the grammar could have made."""
        beginnings = ("03:12 The photo service", "23:59 The speech service hung", "14:00 The address service ran")
        return [(Request(prompt=prompt, temperature=0), _sound) for prompt in beginnings]


def _sound(answer: Any) -> bool:
    return answer["finish"] == "end" and judge(answer["text"]).sound

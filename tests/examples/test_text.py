"""The text generator: what it writes, how it streams, and what it refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from examples.text.generator import WEIGHTS, Request, TextGenerator
from examples.text.grammar import VOCABULARY, Verdict, judge, split, write_report
from examples.text.train import soundness, train
from model import BadInput
from model.loader import Instance
from tests.examples import stage
from tests.running import RunningServer

NOBODY = "Nobody was woken for the"


@pytest.fixture(scope="module")
def instance() -> Instance:
    return stage.load("text")


@pytest.fixture(scope="module")
def generator(instance: Instance) -> TextGenerator:
    assert isinstance(instance.model, TextGenerator)
    return instance.model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with stage.serve("text", tmp_path_factory.mktemp("text") / "data") as running:
        running.wait_until_ready()
        yield running


def test_it_loads_with_its_own_settings_and_its_golden_inputs_hold(instance: Instance) -> None:
    assert (instance.name, instance.version, len(instance.golden)) == ("night-log", "1", 3)
    assert instance.streams


def test_its_rules_and_panels_are_right() -> None:
    assert stage.problems("text") == []


def test_the_grammar_makes_only_what_it_takes_for_sound() -> None:
    rng = random.Random(3)
    reports = [write_report(rng) for _ in range(300)]
    assert all(judge(report).sound for report in reports)
    assert {token for report in reports for token in split(report)} <= set(VOCABULARY)


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (f"03:12 The photo service became slow. The photo batch was halved. {NOBODY} photo service.", (1, 0, 1)),
        (f"03:12 The photo service ran out of memory. The photo batch was halved. {NOBODY} card service.", (1, 1, 0)),
        (f"03:12 The photo service ran out of memory. The card batch was halved. {NOBODY} photo service.", (1, 1, 0)),
        (f"25:12 The photo service ran out of memory. The photo batch was halved. {NOBODY} photo service.", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_what_the_grammar_would_not_make_is_told_apart(report: str, verdict: tuple[int, int, int]) -> None:
    assert judge(report) == Verdict(*map(bool, verdict))


def test_most_of_what_it_writes_from_nothing_is_sound(generator: TextGenerator) -> None:
    found = soundness(generator, 40)
    assert found["well_formed"] >= 0.9
    assert found["sound"] >= 0.9


def test_a_stream_is_the_whole_text_in_pieces(generator: TextGenerator) -> None:
    request = Request(prompt="03:12 The card", seed=7)
    whole = generator.predict([request])[0]
    pieces = [step["token"] for step in generator.stream(request)]
    assert request.prompt + "".join(pieces) == whole["text"]
    assert len(pieces) == whole["tokens"]


def test_texts_of_one_batch_are_those_of_each_alone(generator: TextGenerator) -> None:
    requests = [
        Request(prompt="03:12 The card service", temperature=0),
        Request(prompt="2", temperature=0, max_tokens=5),
        Request(prompt="14:00 The search service lost", temperature=0),
    ]
    assert generator.predict(requests) == [generator.predict([request])[0] for request in requests]


def test_the_seed_decides(generator: TextGenerator) -> None:
    def text(seed: int) -> str:
        return str(generator.predict([Request(seed=seed)])[0]["text"])

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) == 4


def test_it_says_why_a_text_is_over(generator: TextGenerator) -> None:
    short, full = generator.predict([Request(max_tokens=3), Request()])
    assert (short["finish"], short["tokens"], len(short["text"])) == ("length", 3, 3)
    assert full["finish"] == "end"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[]", 422, "body: "),
        (b'{"prompt": 5}', 422, "prompt: "),
        (b'{"prompt": "\\u6df1\\u591c"}', 422, "does not know '深'"),
        (b'{"prompt": "The\\n"}', 422, "does not know"),
        (b'{"prompt": "The phot"}', 422, "does not know ' phot'"),
        (b'{"max_tokens": 0}', 422, "max_tokens: "),
        (b'{"max_tokens": 501}', 422, "max_tokens: "),
        (b'{"temperature": -1}', 422, "temperature: "),
        (b'{"tokens": 5}', 422, "tokens: "),
        (json.dumps({"prompt": "a" * 1001}).encode(), 422, "prompt: "),
    ],
)
def test_what_it_cannot_take_is_refused_with_a_reason(
    generator: TextGenerator, body: bytes, status: int, words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        generator.decode(body, "application/json")
    assert refused.value.status == status
    assert words in refused.value.detail


@pytest.mark.parametrize(("level", "tokens"), [(0.25, 325), (0.5, 250), (1.0, 100)])
def test_a_lighter_request_is_for_fewer_tokens(generator: TextGenerator, level: float, tokens: int) -> None:
    assert generator.lighter(Request(max_tokens=400), level).max_tokens == tokens
    assert generator.lighter(Request(max_tokens=5), level).max_tokens == 5


def test_a_stand_in_is_marked_as_one(generator: TextGenerator) -> None:
    assert generator.fallback(Request(prompt="03:12")) == {"text": "03:12", "tokens": 0, "finish": "fallback"}


def test_weights_for_other_words_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file(load_file(WEIGHTS), other, metadata={"vocabulary": '["abc"]'})
    with pytest.raises(ValueError, match="trained for other words"):
        TextGenerator(other).load("cpu")


def test_training_twice_gives_the_same_network() -> None:
    first, second = train(2, seed=5, rate=1e-2), train(2, seed=5, rate=1e-2)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_a_server_streams_it_as_events(server: RunningServer) -> None:
    asked = json.dumps({"prompt": "03:12 The photo service", "seed": 4}).encode()
    kind = {"Content-Type": "application/json"}
    status, whole = server.request("POST", "/predict", asked, kind)
    assert status == 200, whole
    result: dict[str, Any] = json.loads(whole)["result"]
    status, body = server.request("POST", "/predict", asked, {**kind, "Accept": "text/event-stream"})
    assert status == 200, body
    *steps, done = body.decode().strip().split("\n\n")
    tokens = [json.loads(step.removeprefix("data: "))["token"] for step in steps]
    assert "03:12 The photo service" + "".join(tokens) == result["text"]
    name, _, summary = done.partition("\n")
    assert name == "event: done"
    assert json.loads(summary.removeprefix("data: "))["steps"] == len(tokens)


def test_a_server_shows_its_panels_and_refuses_bad_input(server: RunningServer) -> None:
    assert {"tile_tokens", "token_rate", "open_streams"} <= set(stage.panel_ids(server))
    status, body = server.request("POST", "/predict", b'{"max_tokens": 0}', {"Content-Type": "application/json"})
    assert (status, json.loads(body)["status"]) == (422, 422)

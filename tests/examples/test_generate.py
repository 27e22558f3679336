"""The image generator: whether pictures show what was asked for, how steps come, and what is refused."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from examples.generate.drawing import COLOURS, SHAPES, SIDE, draw_scene, mask_of
from examples.generate.evaluate import of_drawn, of_generated, sheet
from examples.generate.generator import LEAST_STEPS, ImageGenerator, Picture, from_png
from examples.generate.judge import judge
from examples.generate.train import draw, train
from examples.generate.wish import MAX_SIZE, MAX_STEPS, Wish, understand
from model import BadInput
from model.interface import Step
from model.loader import Instance
from tests.examples import stage
from tests.running import RunningServer, eventually

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def instance() -> Instance:
    return stage.load("generate")


@pytest.fixture(scope="module")
def generator(instance: Instance) -> ImageGenerator:
    assert isinstance(instance.model, ImageGenerator)
    return instance.model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with stage.serve("generate", tmp_path_factory.mktemp("generate") / "data") as running:
        running.wait_until_ready()
        yield running


def test_it_loads_with_its_own_settings_and_its_golden_inputs_hold(instance: Instance) -> None:
    assert (instance.name, instance.version, len(instance.golden)) == ("shape-painter", "1", 4)
    assert instance.streams


def test_its_rules_and_panels_are_right() -> None:
    assert stage.problems("generate") == []


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_the_area_and_the_centre_it_was_given(shape: str) -> None:
    covered = mask_of(shape, (17.0, 15.0), 12.0, 0.2)
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    assert covered.sum() == pytest.approx(144, rel=0.04)
    assert (x * covered).sum() / covered.sum() == pytest.approx(17, abs=0.2)
    assert (y * covered).sum() / covered.sum() == pytest.approx(15, abs=0.2)


def test_no_shape_leaves_the_picture() -> None:
    rng = random.Random(3)
    for _ in range(200):
        scene = draw_scene(rng)
        covered = mask_of(scene.shape, scene.centre, scene.size, scene.turn)
        assert covered.sum() == pytest.approx(scene.size**2, rel=0.1)
        assert max(covered[[0, -1]].max(), covered[:, [0, -1]].max()) == 0


def test_the_judge_knows_what_the_rules_have_drawn() -> None:
    found = of_drawn(120)
    assert (found.shape, found.colour) > (0.97, 0.97)
    assert judge(np.full((SIDE, SIDE, 3), 100, dtype=np.uint8)) is None
    noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert judge(noise) is None


def test_most_pictures_show_what_was_asked_for(generator: ImageGenerator) -> None:
    found = of_generated(generator, 56, 20)
    assert found.both >= 0.9
    assert found.fit >= 0.8


def test_one_word_leaves_the_rest_to_chance(generator: ImageGenerator) -> None:
    verdicts = [
        judge(picture.pixels) for picture in generator.predict([Wish(shape="circle", seed=seed) for seed in range(12)])
    ]
    assert sum(verdict is not None and verdict.shape == "circle" for verdict in verdicts) >= 10
    assert len({verdict.colour for verdict in verdicts if verdict is not None}) >= 3


def test_the_seed_decides(generator: ImageGenerator) -> None:
    one, again, other = (generator.predict([Wish(shape="star", seed=seed)])[0].pixels for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_pictures_of_one_batch_are_those_of_each_alone(generator: ImageGenerator) -> None:
    wishes = [Wish(shape="star", colour="red", seed=1), Wish(colour="blue", seed=2, size=64), Wish(seed=3)]
    together = generator.predict(wishes)
    for picture, wish in zip(together, wishes, strict=True):
        alone = generator.predict([wish])[0].pixels
        assert np.abs(picture.pixels.astype(int) - alone).max() <= 1
    assert len({generator.bucket(wish) for wish in [*wishes, Wish(steps=5)]}) == 2


def test_a_stream_tells_each_step_and_ends_with_the_picture(generator: ImageGenerator) -> None:
    wish = Wish(shape="heart", colour="red", steps=5, seed=2)
    *steps, last = generator.stream(wish)
    assert steps == [Step(done, 5) for done in range(1, 6)]
    assert isinstance(last, Picture)
    assert np.array_equal(last.pixels, generator.predict([wish])[0].pixels)


def test_previews_come_nearer_to_the_picture(generator: ImageGenerator) -> None:
    wish = Wish(shape="square", colour="yellow", steps=6, seed=2, preview=True)
    previews = [step.pixels.astype(int) for step in generator.stream(wish) if isinstance(step, Picture)]
    apart = [np.abs(preview - previews[-1]).mean() for preview in previews]
    assert len(previews) == 6
    assert apart[0] > apart[3] > apart[5] == 0


def test_a_closed_stream_takes_no_further_step(generator: ImageGenerator) -> None:
    asked: list[None] = []
    hook = generator.network.register_forward_pre_hook(lambda *_: asked.append(None))
    try:
        stream = generator.stream(Wish(steps=50))
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert list(stream) == []
    finally:
        hook.remove()
    assert len(asked) == 2, "told of the shape, and not"


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a red star", ("star", "red")),
        ("The STAR", ("star", None)),
        ("purple", (None, "purple")),
        ("", (None, None)),
    ],
)
def test_a_prompt_names_a_shape_and_a_colour(prompt: str, found: tuple[str | None, str | None]) -> None:
    assert understand(prompt) == found


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[]", 422, "body: "),
        (b'{"prompt": 5}', 422, "prompt: "),
        (b'{"prompt": "a red dog"}', 422, "does not know 'dog'; it knows circle"),
        (b'{"prompt": "red blue star"}', 422, "one colour at a time"),
        (json.dumps({"steps": MAX_STEPS + 1}).encode(), 422, "steps: "),
        (json.dumps({"size": MAX_SIZE + 1}).encode(), 422, "size: "),
        (b'{"size": 31}', 422, "size: "),
        (b'{"steps": 0}', 422, "steps: "),
        (b'{"steps": true}', 422, "steps: "),
        (b'{"seed": -1}', 422, "seed: "),
        (b'{"width": 64}', 422, "width: "),
        (json.dumps({"prompt": "a " * 51}).encode(), 422, "prompt: "),
    ],
)
def test_what_it_cannot_make_is_refused_with_a_reason(
    generator: ImageGenerator, body: bytes, status: int, words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        generator.decode(body, "application/json")
    assert refused.value.status == status
    assert words in refused.value.detail


@pytest.mark.parametrize(("level", "steps"), [(0.25, 32), (0.5, 25), (1.0, 10)])
def test_a_lighter_wish_has_fewer_steps_and_says_so(generator: ImageGenerator, level: float, steps: int) -> None:
    lighter = generator.lighter(Wish(steps=40, asked=40), level)
    answer = generator.encode(generator.predict([lighter])[0])
    assert (answer["steps"], answer["asked"]) == (steps, 40)
    assert generator.lighter(Wish(steps=3, asked=3), level).steps == 3
    assert generator.lighter(Wish(steps=8, asked=8), 1.0).steps == LEAST_STEPS


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stand_in_shows_what_was_asked_for_and_says_that_it_was_drawn(generator: ImageGenerator, shape: str) -> None:
    for colour in COLOURS:
        answer = generator.encode(generator.fallback(Wish(shape=shape, colour=colour, size=64)))
        verdict = judge(from_png(answer["image"], SIDE))
        assert verdict is not None
        assert (verdict.shape, verdict.colour) == (shape, colour)
        assert answer["generated"] is False


def test_every_size_in_the_limits_is_given(generator: ImageGenerator) -> None:
    picture = generator.fallback(Wish(size=MAX_SIZE))
    assert from_png(generator.encode(picture)["image"], SIDE).shape == (SIDE, SIDE, 3)
    sizes = [len(generator.encode(generator.fallback(Wish(size=size)))["image"]) for size in (32, 100, MAX_SIZE)]
    assert sizes == sorted(sizes)


def test_training_twice_gives_the_same_network() -> None:
    pictures = draw(3, 80)
    first, second = (train(pictures, 2, seed=5, rate=1e-3) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_the_sheet_shows_every_shape_in_every_colour_and_the_steps_of_one(generator: ImageGenerator) -> None:
    pitch = 2 * (SIDE + 2)
    assert sheet(generator, 2).size == (8 * pitch + 4, (len(COLOURS) + 1) * pitch + 4)


def test_a_server_gives_the_picture_whole_and_in_steps(server: RunningServer) -> None:
    asked = json.dumps({"prompt": "a red star", "steps": 6, "seed": 1, "size": 64}).encode()
    status, body = server.request("POST", "/predict", asked, JSON)
    assert status == 200, body
    result = json.loads(body)["result"]
    assert (result["steps"], result["asked"], result["size"], result["generated"]) == (6, 6, 64, True)

    status, body = server.request("POST", "/predict", asked, {**JSON, "Accept": "text/event-stream"})
    assert status == 200, body
    *steps, last, done = body.decode().strip().split("\n\n")
    progress = "event: progress\ndata: "
    assert [json.loads(step.removeprefix(progress)) for step in steps] == [
        {"done": number, "total": 6} for number in range(1, 7)
    ]
    assert json.loads(last.removeprefix("data: ")) == result
    assert done.startswith("event: done\n")


def test_a_reader_who_hangs_up_ends_the_stream_between_two_steps(server: RunningServer) -> None:
    viewer = server.token("viewer")

    def steps() -> float:
        lines = server.get("/metrics", **viewer)[1].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("inference_stream_steps_total"))

    before = steps()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    body = json.dumps({"steps": MAX_STEPS, "size": MAX_SIZE, "preview": True})
    connection.request("POST", "/predict", body, {**JSON, "Accept": "text/event-stream"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.readline().startswith(b"event: progress")
    answer.close()
    connection.close()
    made = eventually(lambda: steps() - before, what="the end of the stream")
    assert made < 2 * MAX_STEPS, "each step tells its progress and shows a preview"


def test_a_server_shows_its_panels_and_refuses_bad_input(server: RunningServer) -> None:
    assert {"tile_pictures", "picture_seconds", "picture_steps", "steps_cut"} <= set(stage.panel_ids(server))
    status, body = server.request("POST", "/predict", b'{"steps": 0}', JSON)
    assert (status, json.loads(body)["status"]) == (422, 422)
    status, _ = server.request("POST", "/predict", b" " * 5000, JSON)
    assert status == 413

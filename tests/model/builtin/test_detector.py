"""The detector with the weights that ship: right about fresh photographs, the same alone and in company, quiet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from model.builtin import CardDetector
from model.builtin.card import KINDS
from model.builtin.dataset import draw_set
from model.builtin.drawing.dice import HELD_OUT, TRAINING, Dice
from model.builtin.drawing.layout import cut
from model.builtin.drawing.licence import licence_back
from model.builtin.drawing.scene import Scene, homography, rectangle
from model.builtin.evaluate import Score, draw_requests, evaluate, report
from model.builtin.network import CardNetwork, expected_corners, positions
from model.builtin.render import jpeg_of, truth_of
from model.builtin.train import WEIGHTS, save, train

EXAMPLES = Path(__file__).parents[3] / "examples" / "cards"


@pytest.fixture(scope="module")
def detector() -> CardDetector:
    detector = CardDetector()
    detector.load("cpu")
    return detector


@pytest.fixture(scope="module")
def score(detector: CardDetector) -> Score:
    return evaluate(detector, draw_requests(HELD_OUT, 120, 99, workers=1))


def test_the_shipped_weights_name_fresh_held_out_cards(score: Score) -> None:
    assert score.confusion.sum() == 120
    assert score.accuracy >= 0.95, report(score)


def test_the_shipped_weights_find_the_corners(score: Score) -> None:
    assert np.median(score.of_image) < 0.02
    assert np.median(score.of_card) < 0.035


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size <= 4_000_000


def test_every_golden_pair_holds(detector: CardDetector) -> None:
    pairs = detector.golden()
    assert len(pairs) == len(KINDS)
    for photo, check in pairs:
        assert check(detector.encode(detector.predict([photo])[0]))


def test_a_golden_check_fails_on_a_wrong_kind_a_doubt_and_a_wrong_corner(detector: CardDetector) -> None:
    photo, check = next(pair for pair in detector.golden() if detector.predict([pair[0]])[0].kind == "id_card")
    answer = detector.encode(detector.predict([photo])[0])
    assert not check({**answer, "class": "passport"})
    assert not check({**answer, "confidence": 0.3})
    assert not check({**answer, "corners": [[0, 0], *answer["corners"][1:]]})


def test_untrained_weights_fail_the_golden_pairs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save(CardNetwork(), tmp_path / "new.safetensors", {})
    detector = CardDetector(tmp_path / "new.safetensors")
    detector.load("cpu")
    results = detector.predict([photo for photo, _ in detector.golden()])
    assert not all(
        check(detector.encode(result)) for (_, check), result in zip(detector.golden(), results, strict=True)
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"stem.0.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match=r"stem\.0\.weight"):
        CardDetector(tmp_path / "other.safetensors").load("cpu")


def test_a_batch_answers_as_each_input_alone_would(detector: CardDetector) -> None:
    photos = [detector.decode(body, "image/jpeg") for body, _ in draw_requests(HELD_OUT, 12, 7, workers=1)]
    together = detector.predict(photos)
    for photo, batched in zip(photos, together, strict=True):
        (alone,) = detector.predict([photo])
        assert alone.kind == batched.kind
        assert alone.confidence == pytest.approx(batched.confidence, abs=1e-4)
        if alone.corners is not None:
            assert alone.corners == pytest.approx(batched.corners, abs=0.1)


def test_an_empty_batch_has_no_results(detector: CardDetector) -> None:
    assert detector.predict([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_are_answered_rightly_over_the_whole_way(detector: CardDetector, kind: str) -> None:
    name = "no_card.jpg" if kind == "none" else f"{kind}.jpg"
    truth = json.loads((EXAMPLES / "truth.json").read_text())[name]
    photo = detector.decode((EXAMPLES / name).read_bytes(), "application/octet-stream")
    answer = json.loads(json.dumps(detector.encode(detector.predict([photo])[0])))
    assert answer["class"] == kind
    assert 0.5 < answer["confidence"] <= 1.0
    if kind == "none":
        assert answer["corners"] is None
    else:
        diagonal = np.hypot(truth["width"], truth["height"])
        distances = np.linalg.norm(np.array(answer["corners"]) - np.array(truth["corners"]), axis=1)
        assert distances.max() < 0.05 * diagonal


@pytest.mark.parametrize("degrees", [-35, -15, 0, 20, 35])
def test_corners_follow_a_known_perspective_and_turn(detector: CardDetector, degrees: int) -> None:
    card = cut("driving_licence", licence_back(Dice(HELD_OUT, 3, 1)), 17)
    flat = np.array([[-340.0, -190.0], [360.0, -230.0], [390.0, 240.0], [-330.0, 215.0]])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    quad = flat @ np.array([[cos, sin], [-sin, cos]]) + np.array([620.0, 450.0])
    inverse = np.linalg.inv(homography(rectangle(*card.frame), quad))
    data = tuple((inverse / inverse[2, 2]).reshape(9)[:8].tolist())
    laid = card.image.transform((1280, 900), Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)
    image = Image.new("RGB", (1280, 900), (92, 74, 60))
    image.paste(laid.convert("RGB"), mask=laid.getchannel("A"))
    (found,) = detector.predict([detector.decode(jpeg_of(Scene(image, "driving_licence", quad)), "image/jpeg")])
    assert found.kind == "driving_licence"
    assert found.corners is not None
    assert np.linalg.norm(found.corners - quad, axis=1).max() < 0.04 * np.hypot(1280, 900)


def test_corners_are_in_pixels_of_the_original_at_any_size(detector: CardDetector) -> None:
    with Image.open(EXAMPLES / "id_card.jpg") as image:
        small = image.convert("RGB")
    large = small.resize((small.width * 6, small.height * 6), Image.Resampling.BICUBIC)
    answers = [
        detector.predict([detector.decode(jpeg_of(Scene(picture, "id_card", None)), "image/jpeg")])[0].corners
        for picture in (small, large)
    ]
    assert answers[0] is not None
    assert answers[1] is not None
    assert answers[1] / 6 == pytest.approx(answers[0], abs=4)


def test_what_may_be_logged_tells_nothing_of_the_picture(detector: CardDetector) -> None:
    photo = detector.decode((EXAMPLES / "passport.jpg").read_bytes(), "image/jpeg")
    assert set(detector.describe(photo)) == {"format", "width", "height"}
    assert detector.describe(photo)["format"] == "JPEG"


def test_the_content_type_is_not_believed(detector: CardDetector) -> None:
    body = (EXAMPLES / "passport.jpg").read_bytes()
    for claim in ("image/jpeg", "image/png", "text/plain", "application/x-www-form-urlencoded", ""):
        assert detector.decode(body, claim).format == "JPEG"


def test_expected_corners_read_a_heat_map_exactly() -> None:
    heat = torch.full((1, 4, 32, 32), -30.0)
    for corner, (x, y) in enumerate([(3, 5), (28, 4), (30, 31), (0, 29)]):
        heat[0, corner, y, x] = 30.0
    places = positions(heat)
    wanted = torch.tensor(
        [[[places[3], places[5]], [places[28], places[4]], [places[30], places[31]], [places[0], places[29]]]]
    )
    assert torch.allclose(expected_corners(heat), wanted, atol=1e-5)


def test_training_lowers_the_loss_and_repeats_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = draw_set(TRAINING, 3, 64, 1)
    first, second = (train(drawn, 4, 5, 3e-3, half=False) for _ in range(2))
    losses = [float(line.split("loss")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert losses[-1] < losses[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    save(first, tmp_path / "first.safetensors", {"seed": 5})
    CardDetector(tmp_path / "first.safetensors").load("cpu")


def test_serving_needs_neither_the_photographs_nor_the_drawing() -> None:
    code = (
        "import sys; from model.builtin import CardDetector; d = CardDetector(); d.load('cpu'); d.golden();"
        "print([m for m in sys.modules if m.split('.')[0] in ('skimage', 'sklearn', 'scipy') or 'drawing' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_decoding_needs_no_torch() -> None:
    code = "import sys; import model.builtin.image, model.builtin.golden; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_truth_is_rounded_and_complete() -> None:
    scene = Scene(Image.new("RGB", (40, 30)), "passport", rectangle(1.23, 2, 30, 20.06))
    assert truth_of(scene) == {
        "class": "passport",
        "width": 40,
        "height": 30,
        "corners": [[1.2, 2.0], [30.0, 2.0], [30.0, 20.1], [1.2, 20.1]],
    }

"""Photo restoration: what comes out of tiles, what is too large, and how much noise is gone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from examples.restore.evaluate import evaluate
from examples.restore.golden import picture
from examples.restore.network import MARGIN, RestoreNetwork
from examples.restore.photo import Photo, decode_photo, from_png
from examples.restore.quality import psnr, with_noise
from examples.restore.restorer import TILES_AT_ONCE, PhotoRestorer
from examples.restore.tile import CORE, Pixels, tiles_of, window
from examples.restore.train import draw, train
from model import BadInput
from model.interface import Step
from model.loader import Instance
from tests.examples import stage
from tests.running import RunningServer


@pytest.fixture(scope="module")
def instance() -> Instance:
    return stage.load("restore")


@pytest.fixture(scope="module")
def restorer(instance: Instance) -> PhotoRestorer:
    assert isinstance(instance.model, PhotoRestorer)
    return instance.model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with stage.serve("restore", tmp_path_factory.mktemp("restore") / "data") as running:
        running.wait_until_ready()
        yield running


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: Pixels, format: str = "PNG", orientation: int = 1) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(buffer, format, exif=exif, quality=95)
    return buffer.getvalue()


def test_it_loads_with_its_own_settings_and_its_golden_inputs_hold(instance: Instance) -> None:
    assert (instance.name, instance.version, len(instance.golden)) == ("photo-restorer", "1", 3)
    assert instance.streams


def test_its_rules_and_panels_are_right() -> None:
    assert stage.problems("restore") == []


def test_held_out_photographs_are_nearer_to_the_truth_than_before(restorer: PhotoRestorer) -> None:
    untouched, *noisy = evaluate(restorer, 4, classical=False)
    assert untouched.after > 30
    assert [score.after - score.before > gain for score, gain in zip(noisy, (2, 6, 9), strict=True)] == [True] * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (41, 201), (128, 128), (129, 257)])
def test_tiles_cover_an_image_of_any_size_once(size: tuple[int, int]) -> None:
    seen = np.zeros(size, dtype=int)
    for tile in tiles_of(*size):
        seen[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("size", [(3, 3), (60, 100), (128, 131), (150, 300)])
def test_a_window_is_the_mirrored_image(size: tuple[int, int]) -> None:
    image = noise(*size)
    beyond = CORE + 2 * MARGIN
    around = np.pad(image, ((MARGIN, beyond), (MARGIN, beyond), (0, 0)), mode="reflect")
    for tile in tiles_of(*size):
        expected = around[tile.top : tile.top + beyond, tile.left : tile.left + beyond]
        assert np.array_equal(window(image, tile), expected)


def test_tiles_give_what_the_whole_image_would(restorer: PhotoRestorer) -> None:
    image = noise(200, 300)
    around = np.pad(image, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    with torch.inference_mode():
        whole = restorer.network(torch.from_numpy(around).permute(2, 0, 1)[None].float() / 255)
    expected = whole[0].permute(1, 2, 0).clamp(0, 1).mul(255).numpy()
    found = restorer.predict([Photo(image, "PNG")])[0].pixels
    assert np.abs(found - expected).max() < 0.51  # rounding alone, and no seam


def test_the_network_never_sees_more_than_a_few_tiles_at_once(restorer: PhotoRestorer) -> None:
    seen = []
    hook = restorer.network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    try:
        restorer.predict([Photo(noise(900, 700), "PNG")])
    finally:
        hook.remove()
    side = CORE + 2 * MARGIN
    assert sum(shape[0] for shape in seen) == len(tiles_of(900, 700))
    assert {shape[1:] for shape in seen} == {(3, side, side)}
    assert max(shape[0] for shape in seen) == TILES_AT_ONCE


def test_a_stream_tells_how_far_it_is_and_ends_with_the_photograph(restorer: PhotoRestorer) -> None:
    photo = Photo(noise(300, 300), "PNG")
    *steps, last = restorer.stream(photo)
    assert steps == [Step(4, 9), Step(8, 9), Step(9, 9)]
    assert isinstance(last, Photo)
    assert np.array_equal(last.pixels, restorer.predict([photo])[0].pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_the_camera_was_held(orientation: int) -> None:
    pixels = picture(40, 60)
    expected = Image.open(io.BytesIO(encoded(pixels, "JPEG", orientation)))
    turned = {6: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180, 8: Image.Transpose.ROTATE_90}
    found = decode_photo(encoded(pixels, "JPEG", orientation)).pixels
    assert found.shape == ((40, 60, 3) if orientation < 5 else (60, 40, 3))
    if orientation in turned:
        assert np.array_equal(found, np.asarray(expected.transpose(turned[orientation])))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "I;16"])
def test_every_kind_of_image_becomes_rgb(mode: str) -> None:
    grey = Image.fromarray(picture(20, 30)).convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    found = decode_photo(buffer.getvalue()).pixels
    expected = np.asarray(grey.convert("1") if mode == "1" else grey).astype(int) * (255 if mode == "1" else 1)
    assert found.shape == (20, 30, 3)
    assert np.abs(found[..., 0] - expected).max() <= 1


def test_what_cannot_be_restored_is_refused_before_memory_is_spent_on_it() -> None:
    large = encoded(np.zeros((3001, 4000, 3), dtype=np.uint8))
    cases = [(large, 413, "12 million at most"), (b"", 400, "empty"), (b"GIF89a", 415, "a GIF")]
    for body, status, words in [*cases, (encoded(noise(50, 50), "JPEG")[:-700], 400, "truncated")]:
        with pytest.raises(BadInput) as refused:
            decode_photo(body)
        assert refused.value.status == status
        assert words in refused.value.detail


@pytest.mark.parametrize(("level", "size"), [(0.25, (70, 105)), (0.5, (60, 90)), (1.0, (40, 60))])
def test_a_lighter_photograph_is_smaller_and_says_so(
    restorer: PhotoRestorer, level: float, size: tuple[int, int]
) -> None:
    lighter = restorer.lighter(Photo(noise(80, 120), "PNG"), level)
    assert lighter.pixels.shape[:2] == size
    assert restorer.encode(lighter)["scale"] == 1 - level / 2
    assert restorer.lighter(Photo(noise(1, 1), "PNG"), 1.0).pixels.shape == (1, 1, 3)


def test_a_stand_in_is_the_photograph_itself_and_says_that_nothing_was_done(restorer: PhotoRestorer) -> None:
    photo = Photo(noise(5, 7), "PNG")
    answer = restorer.encode(restorer.fallback(photo))
    assert answer["restored"] is False
    assert np.array_equal(from_png(answer["image"]), photo.pixels)


def test_training_twice_gives_the_same_network() -> None:
    pictures = draw(3, 16)
    networks: list[RestoreNetwork] = [train(pictures, 2, seed=5, rate=1e-3) for _ in range(2)]
    pairs = zip(networks[0].parameters(), networks[1].parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_server_restores_a_photograph_whole_and_in_steps(server: RunningServer) -> None:
    clean = picture(200, 300)
    noisy = with_noise(clean, 25, np.random.default_rng(1))
    status, body = server.request("POST", "/predict", encoded(noisy), {"Content-Type": "image/png"})
    assert status == 200, body
    result = json.loads(body)["result"]
    assert (result["width"], result["height"], result["restored"]) == (300, 200, True)
    assert psnr(from_png(result["image"]), clean) > psnr(noisy, clean) + 5

    headers = {"Content-Type": "image/png", "Accept": "text/event-stream"}
    status, body = server.request("POST", "/predict", encoded(noisy), headers)
    assert status == 200, body
    *steps, last, done = body.decode().strip().split("\n\n")
    progress = "event: progress\ndata: "
    assert [json.loads(step.removeprefix(progress)) for step in steps] == [
        {"done": 4, "total": 6},
        {"done": 6, "total": 6},
    ]
    assert json.loads(last.removeprefix("data: ")) == result
    assert done.startswith("event: done\n")


def test_a_server_shows_its_panels_and_refuses_what_is_too_large(server: RunningServer) -> None:
    assert {"tile_refused_size", "photo_seconds", "brownout"} <= set(stage.panel_ids(server))
    body = encoded(np.zeros((3001, 4000, 3), dtype=np.uint8))
    status, answer = server.request("POST", "/predict", body, {"Content-Type": "image/png"})
    assert (status, json.loads(answer)["type"].rpartition(":")[2]) == (413, "bad-input")

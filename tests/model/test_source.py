"""What `model.path` may name, beside a class: folders, files, networks, functions, pipelines."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from config import HealthSettings, ModelSettings
from model.fault import LoadFailure
from model.folder import version_key
from model.interface import BadInput, Model
from model.loader import Instance, Loader
from model.network import NetworkModel
from model.result import to_json
from model.source import resolve, short_name

CODE = """
from model import Model

class Echo(Model):
    def load(self, device): self.word = {word!r}
    def predict(self, batch): return [self.word] * len(batch)
"""


class Halves(torch.nn.Module):
    """(n, 4) → (n, 2): sums of neighbours, and it remembers no mode of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, 2, 2).sum(-1)


def half_function(batch: list[Any]) -> list[Any]:
    return [one / 2 for one in batch]


halves = Halves()


def export(path: Path, batch: int | None = None) -> Path:
    """A program for any batch, or for one size."""
    shapes = None if batch else ({0: torch.export.Dim("batch", max=64)},)
    torch.export.save(torch.export.export(Halves(), (torch.ones(batch or 2, 4),), dynamic_shapes=shapes), path)
    return path


def script(path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Halves()).save(str(path))  # type: ignore[no-untyped-call]
    return path


def load(path: object, **settings: Any) -> Instance:
    loader = Loader(ModelSettings(path=str(path), device="cpu", **settings), HealthSettings(), lambda: 0.0)
    return loader.load(lambda _: None)


def ask(instance: Instance, *bodies: object) -> list[Any]:
    model = instance.model
    inputs = [model.decode(body if isinstance(body, bytes) else orjson.dumps(body), "") for body in bodies]
    return [orjson.loads(to_json(model.encode(one))) for one in instance.predict(inputs)]


def failure(path: object) -> LoadFailure:
    with pytest.raises(LoadFailure) as caught:
        load(path)
    return caught.value


@pytest.mark.parametrize("make", [export, script])
def test_a_file_is_hosted(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    instance = load(make(tmp_path / f"halves{'.pt2' if make is export else '.pt'}"))
    assert instance.name == "halves"
    assert ask(instance, [1, 2, 3, 4], {"input": [0.5, 0.5, 1, 0]}) == [[3.0, 7.0], [1.0, 1.0]]


def test_an_exported_program_says_itself_what_it_takes(tmp_path: Path) -> None:
    instance = load(export(tmp_path / "halves.pt2"))
    with pytest.raises(BadInput, match=r"shape is \[3\]; \[4\] is needed") as refused:
        instance.model.decode(b"[1, 2, 3]", "application/json")
    assert refused.value.status == 422
    assert len(instance.golden) == 1  # the example that it was exported with
    assert instance.batch_limit == 8


def test_a_program_for_one_input_is_run_one_by_one(tmp_path: Path) -> None:
    instance = load(export(tmp_path / "halves.pt2", batch=1))
    assert ask(instance, [1, 2, 3, 4], [2, 2, 2, 2]) == [[3.0, 7.0], [4.0, 4.0]]


def test_a_program_for_another_batch_is_refused(tmp_path: Path) -> None:
    found = failure(export(tmp_path / "halves.pt2", batch=3))
    assert found.reason == "load_failed: fixed_batch 3"
    assert "dynamic" in found.suggestion


def test_npy_is_taken_and_a_lying_header_is_not(tmp_path: Path) -> None:
    instance = load(script(tmp_path / "halves.pt"))
    file = io.BytesIO()
    np.save(file, np.array([1, 2, 3, 4], dtype=">f4"))
    assert ask(instance, file.getvalue()) == [[3.0, 7.0]]
    for body in (
        file.getvalue()[:-1],
        file.getvalue().replace(b"(4,)", b"(9999999999,)".ljust(4)),
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
    ):
        with pytest.raises(BadInput):
            instance.model.decode(body, "application/x-npy")
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="send numbers"):
        instance.model.decode(pickled.getvalue(), "application/x-npy")


@pytest.mark.parametrize("body", [b"{}", b'"a"', b"[[1], [2, 3]]", b'["a"]', b"null", b'{"input": {}}', b"[1,"])
def test_what_is_no_array_is_refused(tmp_path: Path, body: bytes) -> None:
    instance = load(script(tmp_path / "halves.pt"))
    with pytest.raises(BadInput):
        instance.model.decode(body, "application/json")


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    for path in (export(tmp_path / "a.pt2"), script(tmp_path / "b.pt")):
        path.write_bytes(path.read_bytes()[:-100])
        assert failure(path).reason.startswith("load_failed: unreadable_weights ")
        path.unlink()
        assert failure(path).reason == f"load_failed: no_such_file {path.name}"


def test_the_newest_version_of_a_folder_is_taken(tmp_path: Path) -> None:
    for version in ("2", "10", "9"):
        (tmp_path / "echo" / version).mkdir(parents=True)
        (tmp_path / "echo" / version / "model.py").write_text(CODE.format(word=version))
    (tmp_path / "echo" / "11-unfinished").mkdir()
    instance = load(tmp_path / "echo")
    assert (instance.name, instance.version, ask(instance, {})) == ("echo", "10", ["10"])
    instance = load(tmp_path / "echo" / "2")
    assert (instance.name, instance.version, ask(instance, {})) == ("echo", "2", ["2"])


def test_code_in_a_folder_is_read_anew(tmp_path: Path) -> None:
    folder = tmp_path / "echo" / "1"
    folder.mkdir(parents=True)
    for word in ("a", "bb"):
        (folder / "model.py").write_text(CODE.format(word=word))
        assert ask(load(folder), {}) == [word]


def test_a_folder_with_weights_has_classes_and_golden_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "pets" / "1"
    folder.mkdir(parents=True)
    script(folder / "weights.ts")
    (folder / "model.yaml").write_text("classes: [cat, dog]\ninput: {shape: [4]}\n")
    pairs: list[dict[str, Any]] = [
        {"input": [1, 1, 0, 0], "class": "cat"},
        {"input": [0, 0, 1, 2], "output": {"score": 3.00001}},
    ]
    (folder / "golden.json").write_text(json.dumps(pairs))
    instance = load(folder)
    assert len(instance.golden) == 2
    assert ask(instance, [0, 0, 1, 1]) == [{"class": "dog", "score": 2.0, "scores": {"cat": 0.0, "dog": 2.0}}]
    pairs[0]["class"] = "dog"
    (folder / "golden.json").write_text(json.dumps(pairs))
    assert failure(folder).reason == "golden_failed: pair 1 of 2"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "empty_folder"),
        ({"a.pt": "", "b.pt": ""}, "which_file a.pt, b.pt"),
        ({"model.py": "1/0"}, "import_error ZeroDivisionError"),
        ({"model.py": "x = 1"}, "which_class none"),
        ({"model.py": "", "model.yaml": "model: model.py:Nope"}, "no_such_class Nope"),
        ({"model.yaml": "colour: red", "a.pt": ""}, "bad_card colour: Extra inputs"),
        ({"model.yaml": "file: ../../x.pt", "a.pt": ""}, "bad_card model.yaml"),
        ({"model.yaml": "[", "a.pt": ""}, "bad_card ParserError"),
        ({"model.yaml": "classes: 3", "a.pt": ""}, "bad_card classes"),
        ({"a.pt": "", "golden.json": "{}"}, "bad_golden"),
        ({"a.pt": "", "golden.json": '[{"input": 1}]'}, "bad_golden"),
        ({"a.pt": "", "golden.json": '[{"input": 1, "tolerance": -1}]'}, "bad_golden"),
        ({"a.pt": "no network"}, "unreadable_weights"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    folder = tmp_path / "shop" / "1"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    found = failure(folder)
    assert found.reason.startswith(f"load_failed: {reason}")
    assert found.suggestion


def test_versions_are_ordered_as_people_count() -> None:
    names = ["10", "9", "1.10", "1.9", "2024-01-02", "rc", "1"]
    assert sorted(names, key=version_key) == ["rc", "1", "1.9", "1.10", "9", "10", "2024-01-02"]


def test_a_network_of_a_module_is_hosted() -> None:
    for name in ("halves", "Halves"):
        instance = load(f"tests.model.test_source:{name}")
        assert ask(instance, [1, 2, 3, 4]) == [[3.0, 7.0]]
        assert instance.device.in_eval(instance.model)


def test_a_function_of_a_module_is_hosted() -> None:
    instance = load("tests.model.test_source:half_function")
    assert (instance.name, ask(instance, 3, 5)) == ("half_function", [1.5, 2.5])


def test_answers_may_be_tuples_and_dicts(tmp_path: Path) -> None:
    class Both(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, Any]:
            return {"sum": x.sum(1), "parts": (x, x.bfloat16())}

    from model.bare import maker

    make = maker(Both(), "both")
    assert make is not None
    model = make()
    model.load("cpu")
    rows = model.predict([model.decode(b"[1, 2]", ""), model.decode(b"[3, 4]", "")])
    assert orjson.loads(to_json(model.encode(rows[1]))) == {"sum": 7.0, "parts": [[3.0, 4.0], [3.0, 4.0]]}


def test_an_answer_of_another_length_is_refused() -> None:
    from model.network import Card, Network

    model: Model = NetworkModel(lambda device: Network(call=lambda x: x[:1]), Card())
    model.load("cpu")
    with pytest.raises(ValueError, match=r"shape \[1, 1\] for 2 inputs"):
        model.predict([model.decode(b"[1]", ""), model.decode(b"[2]", "")])


def test_paths_have_short_names() -> None:
    assert short_name("shop.sentiment:Sentiment") == "Sentiment"
    assert short_name("models/cards/") == "cards"
    assert short_name("x/halves.pt2") == "halves"
    assert short_name("transformers:text-classification:models/mood") == "text-classification"


def test_a_pipeline_is_hosted_from_the_disk(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = tmp_path / "mood"
    _save_tiny_classifier(folder)
    instance = load(f"transformers:text-classification:{folder}")
    (answer,) = ask(instance, "good")
    assert answer["class"] in ("bad", "fine")
    assert 0 <= answer["score"] <= 1
    with pytest.raises(BadInput):
        instance.model.decode(b"[1]", "application/json")


def test_a_pipeline_that_is_not_there_is_not_fetched(tmp_path: Path) -> None:
    for path in ("transformers:text-classification:some/model", "transformers:text-classification", "transformers::x"):
        with pytest.raises(LoadFailure, match=r"no_such_folder|bad_path"):
            resolve(path)


def _save_tiny_classifier(folder: Path) -> None:
    """A BERT of two layers with random weights and a vocabulary of four words."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    folder.mkdir()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\nhello\n")
    config = BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8, num_labels=2,
        id2label={0: "bad", 1: "fine"}, label2id={"bad": 0, "fine": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
